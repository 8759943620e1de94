"""Where the next rows of a robot come from while no policy drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from unichunk.runtime.motion import Ramp
from unichunk.server.evaluation.blinding.mode import Mode
from unichunk.server.evaluation.blinding.row_limits import as_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

HOME_SHARE: Final = 0.25
"""Share of the limits of velocity, acceleration and jerk on the way home: people stand beside it."""


class RowsSource(Protocol):
    """Says where the robot shall be, tick after tick; asked once for each."""

    @property
    def mode(self) -> Mode:
        """What it is for."""
        ...

    def next(self, tick: int, before: NDArray[np.float64]) -> NDArray[np.float64]:
        """The target of a tick, shape (n,), [rad], after the row `before`."""
        ...

    def skip_to(self, tick: int, before: NDArray[np.float64]) -> None:
        """The ticks before this one passed without a row: the robot stands at `before`."""
        ...

    def measured(self, tick: int, joints: NDArray[np.float64]) -> None:
        """Where the robot says it is, shape (n,), [rad]."""
        ...


class Holding:
    """Brakes as hard as the joints may, and stays. A robot that was moved by other means stays where that left it.

    Args:
        spec: The embodiment: how hard to brake, and how far from its row a joint may be (`following_error`), for how
            long.
        step: The last change from row to row, shape (n,), [rad]; None: it stands.
    """

    mode: Final = Mode.HOLD

    def __init__(self, spec: EmbodimentSpec, step: NDArray[np.float64] | None = None) -> None:
        self._error = spec.following_error
        self._patience = round(spec.following_error_s * spec.action_hz)
        self._braking = spec.limits.acceleration / spec.action_hz**2
        self._step = np.zeros(len(spec.joints)) if step is None else step
        self._row: NDArray[np.float64] | None = None
        self._near_at: int | None = None

    def next(self, tick: int, before: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  part of the protocol
        """One step of the way to rest, the row before, or where the robot was found."""
        if self._step.any():
            self._step = np.sign(self._step) * np.maximum(np.abs(self._step) - self._braking, 0.0)
            self._row = before + self._step
        if self._row is None:
            self._row = before.copy()
        return self._row

    def skip_to(self, tick: int, before: NDArray[np.float64]) -> None:  # noqa: ARG002  part of the protocol
        """Stay there."""
        self._row, self._near_at, self._step = before.copy(), None, 0.0 * self._step

    def measured(self, tick: int, joints: NDArray[np.float64]) -> None:
        """Give in to whoever moved the robot: to pull it back once it is let go would be a surprise."""
        if self._row is None or self._near_at is None or np.max(np.abs(joints - self._row)) <= self._error:
            self._near_at = tick
        elif tick - self._near_at > self._patience:
            self._row, self._near_at = as_row(joints), tick


class Homing:
    """Goes to the rest pose on a straight line in joint space, with the minimum-jerk profile of `Ramp`.

    Args:
        spec: The embodiment.
        row: Where it begins, shape (n,), [rad].
    """

    mode: Final = Mode.HOME

    def __init__(self, spec: EmbodimentSpec, row: NDArray[np.float64]) -> None:
        self._spec = spec
        self._target: NDArray[np.float64] = row.copy()
        self._begin(row)

    @property
    def arrived(self) -> bool:
        """Whether the rest pose was the target."""
        return self._ramp.finished

    def next(self, tick: int, before: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  part of the protocol
        """The ramp's next point."""
        self._ramp.sample(tick, self._target)
        return self._target

    def skip_to(self, tick: int, before: NDArray[np.float64]) -> None:  # noqa: ARG002  part of the protocol
        """Begin anew from where the robot stands."""
        self._begin(before)

    def measured(self, tick: int, joints: NDArray[np.float64]) -> None:
        """Of no interest: the ramp goes by what was commanded."""

    def _begin(self, row: NDArray[np.float64]) -> None:
        limits = self._spec.limits
        self._ramp = Ramp(
            row,
            self._spec.rest,
            velocity=HOME_SHARE * limits.velocity,
            acceleration=HOME_SHARE * limits.acceleration,
            jerk=HOME_SHARE * limits.jerk,
            command_hz=self._spec.action_hz,
        )
