"""What a driver needs from a robot, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Capture:
    """One picture of a camera.

    Attributes:
        stamp_ns: When the scene looked like this, [ns], monotonic. A camera that cannot tell gives the moment before
            it was asked: an observation taken for older than it is does no harm.
        image: RGB, shape (H, W, 3), uint8.
    """

    stamp_ns: int
    image: NDArray[np.uint8]


class CameraSource(Protocol):
    """One camera. All three methods run in one thread, which belongs to this camera."""

    def open(self) -> None:
        """Begin to take pictures.

        Raises:
            EmbodimentError: Where the camera cannot be used, with what to do.
        """

    def capture(self) -> Capture | None:
        """The newest picture; None where none came within about a frame's time."""

    def close(self) -> None:
        """Release the camera."""


class RobotDevice(Protocol):
    """One robot. `command`, `rest` and `step` run in the control loop's thread, the others in a different one."""

    @property
    def description(self) -> str:
        """What it is, for people."""

    @property
    def simulated(self) -> bool:
        """True where no real robot moves."""

    def start(self) -> None:
        """Open the hardware and hold the robot where it stands.

        Raises:
            EmbodimentError: Where it cannot be opened, with what to do.
        """

    def stop(self) -> None:
        """Release the hardware. The robot is at rest already."""

    def command(self, q: NDArray[np.float64]) -> None:
        """Set the joints' set-points, shape (n,), [rad], finite and within the spec's limits; `q` is the device's.

        Joints of a group that is not due in this period have the set-points that they had before. Called at most once
        before each `step`; from a stream's first set-point to its last exactly once. That first one is the pose that
        `step` returned last, even where that is slightly outside the limits.
        """

    def rest(self) -> None:
        """Stop moving and hold. The stream of set-points has come to rest by then, or broke off."""

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure, once per command period; a simulator advances by one period.

        A device whose controller compares the first set-point of a stream with the pose it holds returns that pose
        while it holds it.

        Returns:
            Joint positions and velocities, each shape (n,), float64, [rad] and [rad/s]; arrays of the caller's own.
        """

    def cameras(self) -> Mapping[str, CameraSource]:
        """Its cameras by the spec's names."""

    def task_begin(self, instruction: str) -> str:
        """Begin to measure how well the task is done, where the device can tell.

        Args:
            instruction: What the robot is told to do.

        Returns:
            Why this task is not measured, one line; empty where it is, or where the device never measures.
        """

    def task_end(self) -> Mapping[str, float]:
        """End that measurement.

        Returns:
            Its numbers, empty where the device cannot tell; names carry units.

        Raises:
            DriverError: Where no task was begun.
        """
