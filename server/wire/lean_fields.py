"""A session's observation at the server: what the last `Infer` left, and what the next one changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import encode
from unichunk.server.wire.lean import MOST_FIELDS, FieldName

if TYPE_CHECKING:
    from unichunk.server.wire.lean import Infer

_LARGE: Final = 2
"""A field of at least this part of its message is kept as a view of it; smaller ones would keep it for little."""


class WholeRequest(msgspec.Struct, frozen=True, kw_only=True, eq=False, array_like=True):
    """The payload of a lean `Work`: a client's `Infer` as it came, and the fields that it left as they were.

    Attributes:
        infer: The message.
        inherited: Fields of the observation that are not in it.
    """

    infer: memoryview
    inherited: Annotated[dict[FieldName, msgspec.Raw], Meta(max_length=MOST_FIELDS)]


class SessionFields:
    """The fields of one session's last observation, as bytes; nothing is decoded. For one thread.

    Args:
        most_bytes: Largest observation, all fields together.

    Attributes:
        held_bytes: Bytes of the fields that are kept for the session.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._fields: dict[str, msgspec.Raw] = {}
        self._last = 0
        self.held_bytes = 0

    def take(self, infer: Infer, message: bytes | memoryview) -> bytes | None:
        """Take in what changed; the payload for a worker, or None where the session lacks what it builds on.

        Whatever becomes of the request afterwards (busy, late), its fields are in: the client's next changes follow it.
        A request from before the last one is none that anything follows, and gets None.

        Args:
            infer: The request.
            message: Its bytes; kept, and must not change any more.

        Raises:
            MessageError: Where the observation has grown beyond what a session may hold; the session is as it was.
        """
        if infer.id <= self._last or infer.base not in (0, self._last):
            return None
        gone = {*infer.fields, *infer.removed}
        inherited = {name: value for name, value in self._fields.items() if name not in gone} if infer.base else {}
        fields = {**inherited, **{name: _kept(value, len(message)) for name, value in infer.fields.items()}}
        size = sum(len(name) + len(memoryview(value)) for name, value in fields.items())
        if size > self._most_bytes or len(fields) > MOST_FIELDS:
            raise MessageError(
                f"observation: {len(fields)} fields of {size} bytes, this server takes at most {MOST_FIELDS} of "
                f"{self._most_bytes} bytes together; send smaller pictures, or JPEG"
            )
        self._fields, self._last, self.held_bytes = fields, infer.id, size
        return encode(WholeRequest(infer=memoryview(message), inherited=inherited))

    def clear(self) -> None:
        """Forget the observation; the next request must bring everything."""
        self._fields, self._last, self.held_bytes = {}, 0, 0


def _kept(value: msgspec.Raw, message_bytes: int) -> msgspec.Raw:
    return value if _LARGE * len(memoryview(value)) >= message_bytes else value.copy()
