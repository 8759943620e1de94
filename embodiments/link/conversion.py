"""Stream messages as the runtime knows them: checked against the spec, stamps on this host's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import check_array
from unichunk.runtime.observation import CameraFrame, RobotState

if TYPE_CHECKING:
    from unichunk.embodiments.link.clock import Clock
    from unichunk.embodiments.link.messages import Frame, State
    from unichunk.embodiments.spec import Camera


def to_robot_state(message: State, clock: Clock, joints: int) -> RobotState:
    """A state off the wire, for a robot of so many joints.

    Raises:
        MessageError: Where a vector has another shape or type, or is not finite.
    """
    check_array("state.q", message.q, np.float64, (joints,))
    check_array("state.dq", message.dq, np.float64, (joints,))
    if not (np.isfinite(message.q).all() and np.isfinite(message.dq).all()):
        raise MessageError(f"state: expected finite positions and velocities, got q {message.q.tolist()}")
    stamp_ns = clock.to_local(message.stamp_ns)
    return RobotState(stamp_ns, message.sequence, message.q, message.dq, message.watchdog, message.stopped)


def to_camera_frame(message: Frame, clock: Clock, camera: Camera) -> CameraFrame:
    """A camera's frame off the wire.

    Raises:
        MessageError: Where the image has another shape or type than the spec's camera.
    """
    check_array("frame.image", message.image, np.uint8, (camera.height, camera.width, 3))
    return CameraFrame(clock.to_local(message.stamp_ns), message.sequence, message.image)
