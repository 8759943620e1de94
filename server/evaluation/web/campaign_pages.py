"""The pages of operators: the campaign, and one trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import RedirectResponse, Response

from unichunk.server.evaluation.web.now import Now, json
from unichunk.server.evaluation.web.places import CAMPAIGN
from unichunk.server.serving.identity import Right

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.views import TrialView
    from unichunk.server.evaluation.web.gate import Gate, Visitor
    from unichunk.server.evaluation.web.pages import Pages
    from unichunk.server.evaluation.web.settings import WebSettings
    from unichunk.server.evaluation.web.tickets import Tickets


class CampaignPages:
    """Where the campaign is, what is next, and the page beside the robot.

    Args:
        desk: The campaign.
        gate: Knows who asks.
        pages: The templates.
        tickets: For what sets robots in motion.
        settings: How often there is a picture.
    """

    def __init__(self, desk: Desk, gate: Gate, pages: Pages, tickets: Tickets, settings: WebSettings) -> None:
        self._desk = desk
        self._gate = gate
        self._pages = pages
        self._tickets = tickets
        self._settings = settings

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(CAMPAIGN.path, self.campaign, methods=["GET"])
        app.add_api_route("/afterwards", self.afterwards, methods=["GET"])
        app.add_api_route("/trials/{trial}", self.trial, methods=["GET"])
        app.add_api_route("/api/now", self.now, methods=["GET"])

    async def campaign(self, request: Request) -> Response:
        """How far it is, the robots, and what is next."""
        visitor = self._gate.visitor(request)
        if not visitor.may(*CAMPAIGN.rights):
            return RedirectResponse("/rate" if visitor.may(Right.RATE) else "/log", 303)
        now = await self._now(visitor)
        return self._pages.page(request, "campaign", visitor, now=now, operates=visitor.may(Right.OPERATE))

    async def afterwards(self, request: Request) -> Response:
        """What is asked after a trial: the same as on the campaign's page, for the page of the trial."""
        visitor = self._gate.visitor(request, Right.OPERATE)
        now = await self._now(visitor)
        return self._pages.page(request, "afterwards", visitor, now=now)

    async def trial(self, request: Request, trial: str) -> Response:
        """One trial, for who has it; others see whose the robots are."""
        visitor = self._gate.visitor(request, *CAMPAIGN.rights)
        overview = await self._desk.overview(visitor.who)
        mine = overview.mine
        if mine is None or mine.trial != trial:
            known = await self._desk.trial(visitor.who, trial)
            return self._pages.page(request, "not_yours", visitor, overview=overview, trial=known, status=409)
        picture_ms = round(self._settings.picture_s * 1e3)
        return self._pages.page(request, "trial", visitor, overview=overview, trial=mine, picture_ms=picture_ms)

    async def now(self, request: Request) -> Response:
        """The same for scripts."""
        return json(await self._now(self._gate.visitor(request, *CAMPAIGN.rights)))

    async def _now(self, visitor: Visitor) -> Now:
        following: TrialView | None = None
        ticket = ""
        if visitor.may(Right.OPERATE):
            following = await self._desk.next_trial(visitor.who)
            ticket = self._tickets.give()
        overview = await self._desk.overview(visitor.who)
        if not visitor.may(Right.ADMINISTER):
            # What the error says is for whoever runs the server; that nothing is recorded is for everybody.
            overview = msgspec.structs.replace(overview, trouble="")
        return Now(overview=overview, next=following, ticket=ticket)
