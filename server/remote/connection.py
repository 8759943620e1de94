"""A connection to a policy server, whatever it is made of. Every wait has an end."""

from __future__ import annotations

from typing import Final, Protocol

from unichunk.runtime.errors import PolicyError, UnichunkError

CONNECT_S: Final = 0.7
"""How long the other host may take to answer at all, [s]: less than the kernel waits before it repeats a lost SYN, and
more than the slowest network's round trip."""

HANDSHAKE_S: Final = 2.0
"""How long everything between that and an open connection may take, [s]."""


class Unreachable(UnichunkError):
    """No connection could be made; another attempt may succeed.

    Attributes:
        retry_after_s: When the server said that it may, [s]; None: it said nothing.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConnectionLost(UnichunkError):
    """A connection that was there and is no more."""


class Forbidden(PolicyError):
    """A server that will not serve this client, however often it asks: the wrong key, no such policy."""


class Connection(Protocol):
    """One connection, for one thread at a time."""

    def send(self, message: bytes, deadline: float) -> None:
        """Send a message.

        Args:
            message: Its bytes.
            deadline: When to give up, `time.monotonic()`, [s]; the connection is of no use then.

        Raises:
            ConnectionLost: Where it is gone, or takes nothing more.
        """
        ...

    def receive(self, deadline: float) -> bytes | None:
        """The next message; None where none has come by then.

        Args:
            deadline: `time.monotonic()`, [s]; one that is over takes what is there without waiting.

        Raises:
            ConnectionLost: Where it is gone.
        """
        ...

    def close(self) -> None:
        """Hang up, at once."""
        ...


class Dialer(Protocol):
    """Makes connections to one address."""

    def dial(self) -> Connection:
        """Connect, handshake included; takes at most `CONNECT_S` and `HANDSHAKE_S`.

        Raises:
            Unreachable: Where it did not work this time.
            Forbidden: Where it never will.
        """
        ...

    def close(self) -> None:
        """Release what connections share."""
        ...
