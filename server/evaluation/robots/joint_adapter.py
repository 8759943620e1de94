"""Between a robot and a campaign's proxy, which both speak of joints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.chunking import late_seam_fade
from unichunk.runtime.errors import ObservationError
from unichunk.server.evaluation.robots.joint_rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.ticks import Timebase

FIRST_TICK: Final = 1000
"""What the proxy is told for tick 0 of the run: the first observations were made before that."""

SAME: Final = 1e-5
"""Rows that differ by less are the same, [rad]."""


class JointAdapter:
    """An `Adapter` that passes joints through, and looks whether each chunk begins with what is committed.

    It does, as the proxy never changes a row that it handed out; but for two cases. Where answers came so late that
    the robot ran its fallback instead, and where a run begins, the chunk believes the robot to be elsewhere. Then the
    difference is added to its rows and fades, as the runtime does for late chunks.

    Args:
        spec: The robot.
        cameras: Whose pictures are sent.
    """

    def __init__(self, spec: EmbodimentSpec, cameras: Collection[str]) -> None:
        self._cameras = tuple(cameras)
        self._step = spec.limits.velocity / spec.action_hz
        self._timebase: Timebase | None = None
        self._seams, self._largest_seam = 0, 0.0
        self.displacement_slots: NDArray[np.int64] = np.zeros(0, np.int64)
        """None of the actions are displacements."""

    def begin(self, timebase: Timebase) -> None:
        """From now on observations are counted in this run's ticks."""
        self._timebase = timebase

    def policy_input(self, observation: Observation, instruction: str) -> dict[str, Any]:  # noqa: ARG002
        """What goes to the proxy: `state` (n,) float32 [rad], `image.<camera>`, `tick`. It knows the instruction."""
        if self._timebase is None:
            raise ObservationError("an observation before the run began; call begin() first")
        fields: dict[str, Any] = {f"image.{name}": observation.frames[name].image for name in self._cameras}
        fields["state"] = observation.state.q.astype(np.float32)
        fields["tick"] = FIRST_TICK + self._timebase.tick_at(observation.stamp_ns)
        return fields

    def joints(
        self, actions: Mapping[str, NDArray[np.float32]], before: NDArray[np.float64], delay: int = 0
    ) -> NDArray[np.float64]:
        """Joint rows of a chunk, (T, n), [rad], that go on from `before` (n,), the row of tick t0 + delay - 1."""
        rows = actions[ROWS].astype(np.float64)
        if 0 < delay < len(rows):
            shift = before - rows[delay - 1]
            largest = float(np.abs(shift).max())
            if largest > SAME:
                self._seams += 1
                self._largest_seam = max(self._largest_seam, largest)
                rows[delay:] += late_seam_fade(shift, self._step, len(rows) - delay)[:, None] * shift
        return rows

    def actions(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:  # noqa: ARG002
        """The inverse of `joints`."""
        return {ROWS: joints}

    def statistics(self) -> dict[str, Any]:
        """How many chunks did not begin with what was committed, and by how much, [rad]."""
        return {"prefixes_changed": self._seams, "largest_change_rad": self._largest_seam}
