"""Why somebody gets nothing from the server, beside what a backend says of its load."""

from __future__ import annotations

from unichunk.runtime.errors import UnichunkError


class KeyRefused(UnichunkError):
    """No key came, or none that the server knows."""


class NotAllowed(UnichunkError):
    """The key is known, and is for something else."""


class TooFast(UnichunkError):
    """More requests or bytes than the key may send.

    Attributes:
        retry_after_s: When there is something left, [s].
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Ending(UnichunkError):
    """The server ends: what it began is answered, nothing new is taken in.

    Attributes:
        retry_after_s: When another one may be there, [s].
    """

    def __init__(self, retry_after_s: float = 1.0) -> None:
        super().__init__("the server is ending: connect again")
        self.retry_after_s = retry_after_s


class UnknownRobot(UnichunkError):
    """The policy does not drive a robot of this name."""
