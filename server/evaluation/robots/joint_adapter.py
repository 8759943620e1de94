"""Between a robot and a campaign's proxy, which both speak of joints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import ObservationError
from unichunk.server.evaluation.robots.joint_rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.observation import Observation
    from unichunk.runtime.ticks import Timebase

FIRST_TICK: Final = 1000
"""What the proxy is told for tick 0 of the run: the first observations were made before that."""


class JointAdapter:
    """An `Adapter` that passes joints through.

    Args:
        cameras: Whose pictures are sent.
    """

    def __init__(self, cameras: Collection[str]) -> None:
        self._cameras = tuple(cameras)
        self._timebase: Timebase | None = None
        self.displacement_slots: NDArray[np.int64] = np.zeros(0, np.int64)
        self.kinematic = False
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
        self,
        actions: Mapping[str, NDArray[np.float32]],
        before: NDArray[np.float64],  # noqa: ARG002  part of the protocol
        delay: int = 0,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Joint rows of a chunk, (T, n), [rad]."""
        return actions[ROWS].astype(np.float64)

    def actions(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:  # noqa: ARG002
        """The inverse of `joints`."""
        return {ROWS: joints}

    def statistics(self) -> dict[str, Any]:
        """There is nothing to count."""
        return {}
