"""What passes between the fronts and the replicas of a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.work import Answer, Description  # noqa: TC001  (msgspec resolves them)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.serving.ray_edition import Edition, Editions
    from unichunk.server.serving.work import Work


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a replica sends back.

    Attributes:
        answer: To the request.
        digest: Of the bundle that answered.
        replica: Who answered: the name that Ray gave it.
        pid: Its process.
    """

    answer: Answer
    digest: str
    replica: str
    pid: int


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a replica has an edition.

    Attributes:
        description: What it is; None where it cannot be loaded.
        error: Then why, one line.
    """

    description: Description | None = None
    error: str = ""


class ReplicaLost(UnichunkError):
    """The replica that had the request is gone: nobody knows how far it came, and another one can do it again."""


class Replicas(Protocol):
    """What a front needs of the cluster. Nothing here blocks the event loop."""

    async def open(self) -> None:
        """Connect to them.

        Raises:
            UnichunkError: Where there is nothing to connect to; one line.
        """
        ...

    async def close(self) -> None:
        """Let go of what `open` got."""
        ...

    @property
    def count(self) -> int:
        """How many replicas are up, as far as this process knows."""
        ...

    def expect(self, edition: Edition, description: Description) -> None:
        """This is what is loaded: how many requests a replica can have at a time follows from it."""
        ...

    async def answer(self, edition: Edition, work: Work, session: str) -> Reply:
        """Have one replica answer a request; cancelling gives it up there as well.

        Raises:
            ReplicaLost: Where the replica died with it.
            UnichunkError: Where there can be no answer at all.
        """
        ...

    async def load(self, edition: Edition) -> Loaded:
        """Have one replica load an edition."""
        ...

    async def load_everywhere(self, edition: Edition) -> Sequence[Loaded]:
        """Have all replicas load an edition."""
        ...

    async def retire(self, edition: Edition) -> None:
        """Have all replicas drop an edition."""
        ...

    async def exchange(self, editions: Editions) -> Editions:
        """Tell the cluster what this front knows to be served, and hear what came last."""
        ...
