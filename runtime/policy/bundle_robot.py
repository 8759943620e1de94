"""What a policy for one robot has of its bundle, wherever that is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.normalization import SlotMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest, RobotEntry, StateTime


class BundleRobot:
    """A bundle's description, for one of its robots.

    Args:
        manifest: The bundle's description.
        embodiment: Name of one of its robots.

    Attributes:
        manifest: The bundle's description.
        embodiment: Name of the robot.
        robot: The robot's entry in the manifest: cameras, keys, rate, longest delay.
    """

    manifest: Manifest
    embodiment: str
    robot: RobotEntry

    def __init__(self, manifest: Manifest, embodiment: str) -> None:
        self.manifest = manifest
        self.embodiment = embodiment
        self.robot = manifest.robots[embodiment]
        self._action = SlotMap("action", self.robot.action, manifest.unified_width)

    @property
    def chunk_length(self) -> int:
        """T, rows of a chunk."""
        return self.manifest.chunk_length

    @property
    def max_delay(self) -> int:
        """Longest locked prefix seen in training, in rows."""
        return self.robot.max_delay

    @property
    def locks(self) -> bool:
        """Whether committed rows shape the rows after them; else they are only stitched in front."""
        return self.manifest.locks

    @property
    def state_time(self) -> StateTime:
        """Tick whose state the policy is told."""
        return self.manifest.state_time

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        """Place physical actions, `action.<key>` -> (m, width), in unified, normalized rows (m, 200).

        Raises:
            ObservationError: Where a key is missing, or of another shape.
        """
        rows = {len(values) for values in actions.values()}
        for name, width in self._action.widths.items():
            if name not in actions or len(rows) != 1 or np.shape(actions[name]) != (*rows, width):
                found = {key: np.shape(values) for key, values in actions.items()}
                raise ObservationError(f"{name}: expected shape (rows, {width}), got {found}")
        return self._action.encode(actions, *rows)
