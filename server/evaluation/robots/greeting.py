"""What a campaign's proxy says to every robot before anything else."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from unichunk.runtime.errors import PolicyError
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import unpack


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all robots of a campaign, whatever drives them.

    Attributes:
        robot: Name of the embodiment.
        action_hz: Ticks a second.
        rows: H, rows of every answer.
        joints: Their columns' names.
        cameras: Whose pictures are wanted.
    """

    robot: str
    action_hz: Annotated[int, Meta(ge=1)]
    rows: Annotated[int, Meta(ge=1, le=1000)]
    joints: tuple[str, ...]
    cameras: tuple[str, ...]


def read_greeting(message: bytes) -> Greeting:
    """Read the first message of a connection.

    Raises:
        PolicyError: Where it is none; one line.
    """
    try:
        return msgspec.convert(unpack(message), Greeting, strict=True)
    except (WireError, msgspec.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise PolicyError(
            f"this is no campaign's proxy ({reason}): give the address that `unichunk eval serve` prints"
        ) from None
