"""Pictures: of the robots' cameras as they are now, and of how layouts have to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import Response

from unichunk.server.evaluation.web.places import CAMPAIGN
from unichunk.server.serving.identity import Right

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.web.gate import Gate

_PNG: Final = b"\x89PNG\r\n\x1a\n"


class Pictures:
    """Hands pictures out, to who is signed in.

    Args:
        desk: The campaign.
        gate: Knows who asks.
    """

    def __init__(self, desk: Desk, gate: Gate) -> None:
        self._desk = desk
        self._gate = gate

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route("/robots/{robot}/frame.jpg", self.frame, methods=["GET"])
        app.add_api_route("/photos/{sha256}", self.photo, methods=["GET"])

    async def frame(self, request: Request, robot: str) -> Response:
        """What a camera sees; no content where there is no picture yet."""
        visitor = self._gate.visitor(request, *CAMPAIGN.rights)
        frame = await self._desk.frame(visitor.who, robot, request.query_params.get("camera"))
        return Response(status_code=204) if frame is None else picture(frame)

    async def photo(self, request: Request, sha256: str) -> Response:
        """A reference photo."""
        visitor = self._gate.visitor(request, Right.OPERATE, Right.RATE, Right.ADMINISTER)
        return picture(await self._desk.photo(visitor.who, sha256))


def picture(data: bytes) -> Response:
    """A picture, JPEG or PNG."""
    return Response(data, media_type="image/png" if data.startswith(_PNG) else "image/jpeg")
