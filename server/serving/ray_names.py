"""The one place of a Ray cluster where all fronts and replicas hear of swaps."""

from __future__ import annotations

from unichunk.server.serving.ray_edition import Editions, newest, pack, unpack


class Names:
    """A deployment with one replica. It keeps nothing that it would be a pity to lose.

    Every front tells it now and then what it knows, and is told what came last. So if this one dies, its successor
    has learnt everything again with the first question.

    Args:
        editions: What was served first, packed.
    """

    def __init__(self, editions: bytes) -> None:
        self._editions: Editions = unpack(editions)
        self._failures: list[str] = []

    async def exchange(self, editions: bytes) -> bytes:
        """Merge what somebody knows with what is known here.

        Args:
            editions: A table, packed; an empty one only asks.

        Returns:
            What is served under each name by now, packed.
        """
        self._editions = newest(self._editions, unpack(editions))
        return pack(self._editions)

    async def failed(self, reason: str) -> None:
        """A replica could not load what it should: why, one line. Ray itself has only the whole traceback."""
        self._failures.append(reason)

    async def failures(self) -> list[str]:
        """Why replicas could not be started."""
        return self._failures
