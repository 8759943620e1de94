"""Which trials are being driven, since when, and which leases run: by the monotonic clock alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Drive:
    """A policy that drives a robot.

    Attributes:
        trial: Opaque id.
        robot: Which robot.
        began_s: When it began, monotonic, [s].
        timeout_s: How long it may, [s].
    """

    trial: str
    robot: str
    began_s: float
    timeout_s: float


class Drives:
    """All trials that run. The wall clock, whatever it does, neither shortens nor prolongs one.

    Args:
        clock: Monotonic, [s].
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._drives: dict[str, Drive] = {}

    def __iter__(self) -> Iterator[Drive]:
        return iter(tuple(self._drives.values()))

    def begin(self, trial: str, robot: str, timeout_s: float) -> None:
        """A trial runs from now on."""
        self._drives[trial] = Drive(trial, robot, self._clock(), timeout_s)

    def end(self, trial: str) -> float | None:
        """A trial runs no longer.

        Returns:
            How long it ran, [s]; None where it does not run (any more): somebody else has ended it.
        """
        drive = self._drives.pop(trial, None)
        return None if drive is None else self._clock() - drive.began_s

    def elapsed_s(self, trial: str) -> float | None:
        """How long a trial has run, [s]; None where it does not run."""
        drive = self._drives.get(trial)
        return None if drive is None else self._clock() - drive.began_s

    def on(self, robot: str) -> Drive | None:
        """What drives a robot."""
        return next((drive for drive in self._drives.values() if drive.robot == robot), None)

    def overdue(self) -> list[Drive]:
        """Those whose time is up."""
        now_s = self._clock()
        return [drive for drive in self._drives.values() if now_s - drive.began_s >= drive.timeout_s]

    def next_due_s(self) -> float | None:
        """When the next one's time is up, [s] from now; None where none runs."""
        now_s = self._clock()
        return min((drive.began_s + drive.timeout_s - now_s for drive in self._drives.values()), default=None)
