"""What the robot reports: joint states and camera frames, each stamped where it was taken.

All stamps are nanoseconds of this host's monotonic clock (`time.monotonic_ns`); the link converts a driver's own
clock on arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class RobotState:
    """Measured joint state.

    Attributes:
        stamp_ns: When it was measured, [ns], monotonic.
        sequence: The driver's count of states, from 0.
        q: Joint positions, shape (n,), [rad], in the order of the embodiment's joints.
        dq: Joint velocities, shape (n,), [rad/s].
        watchdog: True while the driver holds the robot because commands stopped.
        stopped: True while the driver holds the robot because it was told to.
    """

    stamp_ns: int
    sequence: int
    q: NDArray[np.float64]
    dq: NDArray[np.float64]
    watchdog: bool
    stopped: bool = False


@dataclass(frozen=True)
class CameraFrame:
    """One image.

    Attributes:
        stamp_ns: When it was captured, [ns], monotonic.
        sequence: The camera's count of frames, from 0.
        image: RGB image, shape (H, W, 3), uint8.
    """

    stamp_ns: int
    sequence: int
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Observation:
    """What a policy decides on: the newest frame of every camera and the state measured closest to it.

    Attributes:
        stamp_ns: The oldest capture stamp among the frames: what was seen is at least this old, [ns].
        state: The joint state whose stamp is closest to `stamp_ns`.
        frames: Camera name -> newest frame.
    """

    stamp_ns: int
    state: RobotState
    frames: Mapping[str, CameraFrame]
