"""The page of raters: a recorded trial, to be judged again by somebody who knows nothing of the first judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import Response  # noqa: TC002  (read at run time)

from unichunk.server.evaluation.web.bodies import Judgement
from unichunk.server.evaluation.web.gate import read_body, request_key
from unichunk.server.evaluation.web.now import Changed, json
from unichunk.server.evaluation.web.pictures import picture
from unichunk.server.evaluation.web.places import VIDEOS
from unichunk.server.serving.identity import Right

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.web.gate import Gate
    from unichunk.server.evaluation.web.pages import Pages


class RatingPage:
    """Videos, and judgements of them.

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
        app.add_api_route(VIDEOS.path, self.page, methods=["GET"])
        app.add_api_route("/videos/{video}/{camera}/{number}.jpg", self.frame, methods=["GET"])
        app.add_api_route("/api/videos/{video}/rate", self.rate, methods=["POST"])

    async def page(self, request: Request) -> Response:
        """The video that is next."""
        visitor = self._gate.visitor(request, Right.RATE)
        video = await self._desk.to_rate(visitor.who)
        overview = await self._desk.overview(visitor.who)
        return self._pages.page(request, "rate", visitor, video=video, overview=overview)

    async def frame(self, request: Request, video: str, camera: str, number: int) -> Response:
        """One picture of it."""
        visitor = self._gate.visitor(request, Right.RATE)
        return picture(await self._desk.rating_frame(visitor.who, video, camera, number))

    async def rate(self, request: Request, video: str) -> Response:
        """Judge it."""
        who = self._gate.sender(request, Right.RATE).who
        key = request_key(request, who)
        given = await read_body(request, Judgement)
        await self._desk.rate(who, video, given.success, given.rubric, given.note, key)
        return json(Changed())
