"""What the desk needs of the robots: it says who drives, and hears what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class DrivenRobot(Protocol):
    """A robot, as it is now."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def connected(self) -> bool:
        """Whether it asks for joint targets."""

    @property
    def last_seen_s(self) -> float:
        """How long ago it did so last, [s]."""

    @property
    def mode(self) -> str:
        """`hold`, `home` or `run`."""

    @property
    def at_home(self) -> bool:
        """Whether it is in its start pose."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of its cameras."""


class DrivenRobots(Protocol):
    """All robots. Every method returns at once and may be called again; nothing here waits for a robot."""

    on_event: Callable[[str, str, str], None]
    """Called in the event loop with robot, trial and one of `policy lost`, `robot lost`, `task done`."""

    on_recorded: Callable[[str, str], None]
    """Called in the event loop with a trial and the SHA-256 of its `episode.json`, once that is on the disk."""

    @property
    def robots(self) -> Mapping[str, DrivenRobot]:
        """All that have been seen, by name."""

    def arm(self, robot: str) -> None:
        """To its start pose, and hold there."""

    def run(self, robot: str, trial: str, policy: int, instruction: str) -> None:
        """A policy drives from now on, until `hold`."""

    def hold(self, robot: str) -> None:
        """Stand still from now on; also for a robot that is not there."""

    def frame(self, robot: str, camera: str | None = None) -> bytes | None:
        """What a camera sees now, JPEG; None where nothing came yet."""
