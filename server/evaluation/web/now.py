"""What a page asks for every second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from unichunk.server.evaluation.views import Overview, TrialView  # noqa: TC001  (read at run time)

if TYPE_CHECKING:
    from typing import Any


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The campaign at this moment.

    Attributes:
        overview: As this visitor may see it.
        next: The trial that would be given out now; None where none is left, and for who gets none.
        ticket: Sets a robot in motion, for a few seconds.
    """

    overview: Overview
    next: TrialView | None
    ticket: str


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What a command led to.

    Attributes:
        trial: The trial afterwards; None where the command is not about one.
    """

    trial: TrialView | None = None


def json(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
