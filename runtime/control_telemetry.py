"""What the control thread writes down: counters, a lateness histogram and the last few thousand steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.guard import TOLERANCE
from unichunk.runtime.histogram import TimeHistogram
from unichunk.runtime.tick_status import TickStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.guard import Guard

RECORDS: Final = 8192

RECORD_FIELDS: Final = [
    ("step", np.int64),
    ("due_ns", np.int64),
    ("lateness_ns", np.int64),
    ("status", np.int8),
    ("chunk", np.int64),
    ("intervened", np.bool_),
    ("sent", np.bool_),
]


class ControlTelemetry:
    """One record per control step, all memory taken at the start.

    Args:
        joints: Number of joints n.
    """

    def __init__(self, joints: int) -> None:
        self._records = np.zeros(RECORDS, np.dtype(RECORD_FIELDS))
        self._commands: NDArray[np.float64] = np.zeros((RECORDS, joints))
        self._previous: NDArray[np.float64] = np.full(joints, np.nan)
        self._change: NDArray[np.float64] = np.zeros(joints)
        self.lateness = TimeHistogram()
        self.steps = 0
        self.missed_steps = 0
        self.unsent = 0
        self.interventions = 0
        self.corrections: NDArray[np.int64] = np.zeros(joints, np.int64)
        """Interventions per joint."""
        self.largest_correction: NDArray[np.float64] = np.zeros(joints)
        """Largest change the guard made per joint, shape (n,), [rad]."""
        self.largest_step: NDArray[np.float64] = np.zeros(joints)
        """Largest difference of consecutive commands while running, per joint, shape (n,), [rad]."""
        self.status = TickStatus.HOLDING

    def record(
        self,
        step: int,
        due_ns: int,
        lateness_ns: int,
        status: TickStatus,
        chunk: int,
        guard: Guard,
        *,
        intervened: bool,
        sent: bool,
        missed: int = 0,
    ) -> None:
        """Write down one step; called after its command was sent."""
        slot = self.steps % RECORDS
        self._records[slot] = (step, due_ns, lateness_ns, status, chunk, intervened, sent)
        command = guard.command
        self._commands[slot] = command
        self.steps += 1
        self.unsent += not sent
        self.missed_steps += missed
        self.status = status
        if status >= TickStatus.RUNNING:
            self.lateness.add(lateness_ns)
            np.subtract(command, self._previous, out=self._change)
            np.abs(self._change, out=self._change)
            np.fmax(self.largest_step, self._change, out=self.largest_step)
        self._previous[:] = command
        if intervened:
            self.interventions += 1
            amount = np.abs(guard.correction)
            self.corrections += amount > TOLERANCE
            np.maximum(self.largest_correction, amount, out=self.largest_correction)

    def recent(self) -> tuple[NDArray[np.void], NDArray[np.float64]]:
        """Copies of the last records and their commands (m, n) [rad], oldest first, m up to 8192."""
        order = np.arange(max(0, self.steps - RECORDS), self.steps) % RECORDS
        return self._records[order], self._commands[order]
