"""Faults on purpose, to see how the other side takes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from unichunk.embodiments.drivers.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Iterable


class FaultKind(Enum):
    """What goes wrong."""

    FREEZE_CAMERA = "freeze_camera"
    """Every camera repeats its picture, with fresh stamps."""
    STALL_CAMERA = "stall_camera"
    """No camera publishes any more."""
    DIE = "die"
    """The process ends at once, as if killed."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: What goes wrong.
        at_s: When, [s] after the first command.
    """

    kind: FaultKind
    at_s: float


def parse_fault(text: str) -> Fault:
    """Parse `KIND@SECONDS`, say `freeze_camera@5`.

    Raises:
        DriverError: Where it is something else.
    """
    kind, _, at = text.partition("@")
    try:
        fault = Fault(FaultKind(kind), float(at))
    except ValueError:
        fault = None
    if fault is None or not 0 <= fault.at_s < float("inf"):
        kinds = ", ".join(kind.value for kind in FaultKind)
        raise DriverError(f"fault {text!r}: expected KIND@SECONDS with one of {kinds}, say freeze_camera@5")
    return fault


class FaultPlan:
    """Which faults are active when. Knows no clock.

    Args:
        faults: All faults of the run.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = tuple(faults)
        self._first_command_s: float | None = None

    def commanded(self, now_s: float) -> None:
        """Note a command; the first one starts the time, [s]."""
        if self._first_command_s is None:
            self._first_command_s = now_s

    def active(self, kind: FaultKind, now_s: float) -> bool:
        """Whether it goes wrong now, [s]."""
        if self._first_command_s is None:
            return False
        elapsed_s = now_s - self._first_command_s
        return any(fault.kind is kind and elapsed_s >= fault.at_s for fault in self._faults)
