"""What the front of a server needs of whatever infers: workers on this machine, or a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.serving.work import Answer, Description, Work


class Busy(UnichunkError):
    """The server is full: this request was not taken in.

    Attributes:
        retry_after_s: When there may be room, [s].
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Expired(UnichunkError):
    """Nobody waits for this request any more: its deadline passed before a worker was free."""


class UnknownPolicy(UnichunkError):
    """No policy of this name is served."""


class SwapRefused(UnichunkError):
    """The policy was not replaced, and the one that was there goes on."""


@dataclass(frozen=True)
class Caller:
    """Whose request it is, for fairness: tenants take turns, and within a tenant its clients.

    Attributes:
        tenant: The API key's id, or the peer's address where there are no keys.
        client: The connection or session.
    """

    tenant: str
    client: str


@dataclass(frozen=True)
class Load:
    """How busy a policy is.

    Attributes:
        waiting: Requests in its queue.
        running: Requests that workers have.
        workers: Workers that are up.
        service_s: How long a request takes a worker lately, [s].
    """

    waiting: int
    running: int
    workers: int
    service_s: float


class Backend(Protocol):
    """Loads policies and answers requests. All methods are called from one event loop and never block it."""

    async def start(self) -> None:
        """Load and warm up all policies.

        Raises:
            UnichunkError: Where one cannot be loaded; one line.
        """
        ...

    @property
    def policies(self) -> Sequence[str]:
        """Names under which policies are served; the first is the default."""
        ...

    def describe(self, policy: str) -> Description:
        """What is loaded under a name right now; after a swap, what came in.

        Raises:
            UnknownPolicy: Where nothing is.
        """
        ...

    def load(self, policy: str) -> Load:
        """How busy it is."""
        ...

    async def answer(self, policy: str, work: Work, caller: Caller, *, deadline_s: float | None = None) -> Answer:
        """Answer a request. Cancelling the caller's task takes the request out of the queue, or drops its answer.

        Args:
            policy: The name under which it is served.
            work: The request.
            caller: Who asks.
            deadline_s: When its answer is no use any more, `time.monotonic()`, [s]; None: patience is the server's.

        Returns:
            The answer, or why there is none. A worker that dies is replaced, and the request given to another one.

        Raises:
            UnknownPolicy, Busy, Expired: Where no worker began with it.
        """
        ...

    async def swap(self, policy: str, source: str, *, force: bool = False) -> Description:
        """Load another bundle under a name, warm it up, and let it take over between two requests.

        Args:
            policy: The name under which it is served.
            source: The bundle's folder, as the server sees it.
            force: Take one whose robots, keys, slots, normalization or chunk length differ.

        Raises:
            SwapRefused: Where it cannot be loaded or does not fit; what was there goes on.
            UnknownPolicy: Where nothing is served under that name.
        """
        ...

    async def close(self) -> None:
        """End all workers."""
        ...
