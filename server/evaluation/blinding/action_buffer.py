"""One robot's action buffer: which rows it was told, and where the next ones come from. Pure: time is ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.server.evaluation.blinding.mode import Mode
from unichunk.server.evaluation.blinding.row_limits import RowLimits, as_row
from unichunk.server.evaluation.blinding.rows_source import Holding, Homing
from unichunk.server.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.blinding.rows_source import RowsSource

LAST_TICK: Final = 2**52
"""Ticks are counted to here: what a robot sends is multiplied by nanoseconds."""

ROUNDING: Final = 1e-6
"""What the rounding to float32 may change, [rad]."""

LONG_GAP_S: Final = 1.0
"""A robot that skipped more than this, [s], is where it says it is, and no more where it was told to be."""


class TickRefused(EvaluationError):
    """A tick that cannot be answered: before the last one, or no number that is one."""


class ActionBuffer:
    """Hands out windows of H rows, tick by tick; rows that were handed out never change, but for a stop.

    Between trials rows come from `Holding` and `Homing`, in a trial from whatever `begin` brings. Every row is within
    the limits of position and speed after the one before it, wherever it comes from.

    Args:
        spec: The embodiment.
        rows: H.
    """

    def __init__(self, spec: EmbodimentSpec, rows: int) -> None:
        self.limits: Final = RowLimits.of(spec.limits, spec.action_hz)
        self.corrections = 0
        """Rows that had to be brought within the limits here, although their source should have."""
        self._spec = spec
        self._rows = rows
        # Two more than an answer has: a stop before all of them has to know how fast the robot is.
        self._ran: NDArray[np.float64] = np.zeros((rows + 2, len(spec.joints)))
        self._stops = False
        self._asked: int | None = None
        self._end = 0
        self._source: RowsSource = Holding(spec)
        self._joints: NDArray[np.float64] = spec.rest.copy()

    @property
    def mode(self) -> Mode:
        """What the robot is doing."""
        return self._source.mode

    @property
    def end(self) -> int:
        """One past the last tick whose row was handed out."""
        return self._end

    @property
    def row(self) -> NDArray[np.float64]:
        """The last row that was handed out, shape (n,), [rad]; where the robot stands before the first one."""
        row: NDArray[np.float64] = self._ran[-1].copy()
        return row

    @property
    def at_home(self) -> bool:
        """Whether the robot went home, and is there."""
        source = self._source
        near = np.max(np.abs(self._joints - self._spec.rest)) <= self._spec.following_error
        return isinstance(source, Homing) and source.arrived and bool(near)

    def connect(self, joints: NDArray[np.floating]) -> None:
        """A robot came: it stands where it says, holds there, and counts its ticks as it likes.

        Args:
            joints: Measured, shape (n,), finite, [rad].
        """
        self._asked, self._stops = None, False
        self._joints = np.asarray(joints, np.float64)
        self._ran[:] = as_row(joints)
        self._source = Holding(self._spec)

    def place(self, tick: int | None, joints: NDArray[np.floating]) -> int:
        """Take in a request.

        Args:
            tick: The robot's; None: H after the one before.
            joints: Measured, shape (n,), finite, [rad].

        Returns:
            The tick of its observation, whose rows are to be handed out next.

        Raises:
            TickRefused: For a tick before the last one; nothing changed.
        """
        placed = (0 if self._asked is None else self._end) if tick is None else tick
        if not -LAST_TICK < placed < LAST_TICK:
            raise TickRefused(f"tick: expected a whole number below 2^52, got {placed}")
        if self._asked is not None and placed < self._asked:
            raise TickRefused(f"tick: expected {self._asked} or later, got {placed}: ticks do not go back")
        self._joints = np.asarray(joints, np.float64)
        if self._asked is None:
            self._end = placed
            self._source.skip_to(placed, self.row)
        elif placed > self._end:
            self._skip_to(placed)
        self._asked = placed
        self._source.measured(placed, self._joints)
        return placed

    def hand_out(self, tick: int, bound: int | None = None) -> NDArray[np.float32]:
        """The rows of ticks `tick` ... `tick` + H - 1, shape (H, n), [rad]; from here on they cannot change.

        But for a stop: after `hold`, a robot that says to how many of them it is bound, because it asks again before it
        runs the others, gets others after those.

        Args:
            tick: What `place` returned last.
            bound: Rows of the answer that the robot will run whatever they say, if they were handed out before; None:
                all.
        """
        if tick != self._asked:
            raise ValueError(f"tick: expected {self._asked}, the one that was asked for last, got {tick}")
        if self._stops:
            self._stop_after(tick + (self._rows if bound is None else min(bound, self._rows)))
        while self._end < tick + self._rows:
            self._extend()
        return self._ran[-self._rows :].astype(np.float32)

    def hold(self) -> None:
        """Brake, and stay: from the first row on that was not handed out yet, or that the robot is not bound to."""
        if self.mode is not Mode.HOLD:
            self._source = Holding(self._spec, self._step)
            self._stops = True

    def home(self) -> None:
        """From the first row on that was not handed out yet, go to the rest pose."""
        self._stops = False
        self._source = Homing(self._spec, self.row)

    def drive(self, make: Callable[[int, NDArray[np.float64]], RowsSource]) -> None:
        """From the first row on that was not handed out yet, follow another source.

        Args:
            make: Makes it, from the tick of its first row and the row before that.
        """
        self._stops = False
        self._source = make(self._end, self.row)

    @property
    def _step(self) -> NDArray[np.float64]:
        step: NDArray[np.float64] = self._ran[-1] - self._ran[-2]
        return step

    def _extend(self) -> None:
        before = self._ran[-1].copy()
        target = self._source.next(self._end, before)
        row = self.limits.follow(before, target)
        self.corrections += bool(np.max(np.abs(row - target)) > ROUNDING)
        self._ran[:-1] = self._ran[1:]
        self._ran[-1] = row
        self._end += 1

    def _stop_after(self, end: int) -> None:
        """Take the rows from a tick on back, and brake there."""
        self._stops = False
        taken_back = self._end - end
        if taken_back > 0:
            self._ran[taken_back:] = self._ran[:-taken_back]
            self._end = end
            self._source = Holding(self._spec, self._step)

    def _skip_to(self, tick: int) -> None:
        """What was not handed out did not run: the robot stayed at its last row, or is wherever it says."""
        self._stops = False
        long = tick - self._end > LONG_GAP_S * self._spec.action_hz
        self._ran[:] = as_row(self._joints) if long else self._ran[-1]
        self._end = tick
        self._source.skip_to(tick, self.row)
