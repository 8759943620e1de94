"""The web application of a campaign: pages for people beside robots, and what their scripts ask for."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from unichunk.server.evaluation.web.actions import Actions
from unichunk.server.evaluation.web.admin_page import AdminPage
from unichunk.server.evaluation.web.campaign_pages import CampaignPages
from unichunk.server.evaluation.web.error_answers import ErrorAnswers
from unichunk.server.evaluation.web.gate import Gate
from unichunk.server.evaluation.web.headers import SecurityHeaders
from unichunk.server.evaluation.web.log_page import LogPage
from unichunk.server.evaluation.web.login import Login
from unichunk.server.evaluation.web.pages import Pages
from unichunk.server.evaluation.web.pictures import Pictures
from unichunk.server.evaluation.web.rating_page import RatingPage
from unichunk.server.evaluation.web.sessions import Sessions
from unichunk.server.evaluation.web.tickets import Tickets
from unichunk.server.serving.logs import Log
from unichunk.server.serving.rate_limits import FailedAttempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.web.settings import WebSettings
    from unichunk.server.serving.access import Keys

STATIC: Final = Path(__file__).parent / "static"


def make_app(
    desk: Desk,
    keys: Keys,
    settings: WebSettings,
    *,
    log: Log | None = None,
    wall: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    token: Callable[[], str] = secrets.token_urlsafe,
) -> FastAPI:
    """The application. It starts nothing: the desk's owner does.

    The robots' WebSocket route is added to it by whoever serves both.

    Args:
        desk: The campaign.
        keys: The API keys: who may sign in, and whether that is still so.
        settings: How it is served.
        log: Where refusals go that are the server's fault; None: the standard error.
        wall: Seconds since the epoch, for when sessions expire.
        clock: Monotonic, [s].
        token: Makes random text.
    """
    # No page describes the interface to whoever has no key.
    app = FastAPI(title="unichunk evaluation", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    pages = Pages()
    sessions = Sessions(settings.cookie_key, lasts_s=settings.session_s, wall=wall, token=token)
    gate = Gate(keys, sessions, secure=settings.secure)
    tickets = Tickets(settings.cookie_key, boot=token(), lasts_s=settings.ticket_s, clock=clock)

    ErrorAnswers(pages, Log() if log is None else log).add_to(app)
    Login(gate, keys, sessions, FailedAttempts(), pages, settings, clock).add_to(app)
    CampaignPages(desk, gate, pages, tickets, settings).add_to(app)
    Actions(desk, gate, tickets).add_to(app)
    Pictures(desk, gate).add_to(app)
    RatingPage(desk, gate, pages).add_to(app)
    LogPage(desk, gate, pages).add_to(app)
    AdminPage(desk, gate, pages).add_to(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(SecurityHeaders)
    return app
