"""Ticks: time as an integer, counted from the moment the robot starts to run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True)
class Timebase:
    """Maps monotonic time and control steps to ticks, exactly, in integers.

    Control step i starts at epoch_ns + i / command_hz; tick k spans the control steps i with
    floor(i * action_hz / command_hz) = k.

    Attributes:
        epoch_ns: Monotonic time of control step 0, which opens tick 0, [ns].
        action_hz: Ticks a second.
        command_hz: Control steps a second.
    """

    epoch_ns: int
    action_hz: int
    command_hz: int

    def tick_at(self, stamp_ns: int) -> int:
        """The tick a moment falls into (negative before the epoch)."""
        return (stamp_ns - self.epoch_ns) * self.action_hz // NANOSECONDS

    def tick_of_step(self, step: int) -> int:
        """The tick that control step `step` belongs to."""
        return step * self.action_hz // self.command_hz

    def phase_of_step(self, step: int) -> float:
        """How far into its tick the command of a control step lies, in (0, 1].

        At the step's end where the rates divide; otherwise as late in the step as keeps the phases of all steps
        equally far apart and inside their ticks, so that a uniform motion stays uniform across ticks.
        """
        grid = math.gcd(self.action_hz, self.command_hz)
        return (step * self.action_hz % self.command_hz + grid) / self.command_hz

    def start_of_step(self, step: int) -> int:
        """Monotonic time at which a control step is due, [ns]: the first nanosecond that falls into it."""
        return self.epoch_ns - (-step * NANOSECONDS // self.command_hz)

    def step_at(self, stamp_ns: int) -> int:
        """The control step a moment falls into (negative before the epoch)."""
        return (stamp_ns - self.epoch_ns) * self.command_hz // NANOSECONDS
