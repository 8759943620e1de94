"""The page of administrators: robots, trials that somebody has, and emergency unblinding by two people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import Response  # noqa: TC002  (read at run time)

from unichunk.server.evaluation.web.bodies import Nothing, Why
from unichunk.server.evaluation.web.gate import read_body, request_key
from unichunk.server.evaluation.web.now import Changed, json
from unichunk.server.evaluation.web.places import ADMINISTRATION

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.web.gate import Gate
    from unichunk.server.evaluation.web.pages import Pages


class AdminPage:
    """What only administrators do.

    Args:
        desk: The campaign.
        gate: Knows who asks.
        pages: The templates.
    """

    def __init__(self, desk: Desk, gate: Gate, pages: Pages) -> None:
        self._desk = desk
        self._gate = gate
        self._pages = pages

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(ADMINISTRATION.path, self.page, methods=["GET"])
        app.add_api_route("/api/unblinding/{trial}/propose", self.propose, methods=["POST"])
        app.add_api_route("/api/unblinding/{trial}/confirm", self.confirm, methods=["POST"])

    async def page(self, request: Request) -> Response:
        """The campaign, with what can be done about it."""
        visitor = self._gate.visitor(request, *ADMINISTRATION.rights)
        return self._pages.page(request, "admin", visitor, overview=await self._desk.overview(visitor.who))

    async def propose(self, request: Request, trial: str) -> Response:
        """The first of two asks which policy it was."""
        who = self._gate.sender(request, *ADMINISTRATION.rights).who
        key = request_key(request, who)
        await self._desk.propose_unblinding(who, trial, (await read_body(request, Why)).reason, key)
        return json(Changed())

    async def confirm(self, request: Request, trial: str) -> Response:
        """The second agrees, and is told."""
        who = self._gate.sender(request, *ADMINISTRATION.rights).who
        key = request_key(request, who)
        await read_body(request, Nothing)
        return json({"policy": await self._desk.confirm_unblinding(who, trial, key)})
