"""What of an observation a server does not have yet: the client's half of `SessionFields`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from unichunk.server.wire.lean import Infer

if TYPE_CHECKING:
    from collections.abc import Mapping

_NIL = b"\xc0"


class Changes:
    """Makes each request from the one before it on the same connection.

    Ids grow for as long as the session lives, over all of its connections: what belongs to an older request shows.
    """

    def __init__(self) -> None:
        self._sent: dict[str, bytes] = {}
        self._base = 0
        self._last = 0

    def forget(self) -> None:
        """The server may lack what was sent: the next request brings everything."""
        self._sent = {}
        self._base = 0

    def infer(
        self, fields: Mapping[str, bytes], *, number: int, delay: int, locked: bytes | None, within_s: float
    ) -> Infer:
        """The request that tells the server this observation.

        Args:
            fields: The whole observation, each value encoded.
            number: Of the chunk.
            delay: d.
            locked: Packed rows, encoded; None where d is 0.
            within_s: After this long the answer is of no use, [s].
        """
        self._last += 1
        sent, base = self._sent, self._base
        self._sent, self._base = dict(fields), self._last
        return Infer(
            id=self._last,
            number=number,
            base=base,
            fields={name: msgspec.Raw(value) for name, value in fields.items() if sent.get(name) != value},
            removed=tuple(sent.keys() - fields.keys()),
            delay=delay,
            locked=msgspec.Raw(_NIL if locked is None else locked),
            within_s=within_s,
        )
