"""A device around another one, which it passes everything on to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.drivers.device import CameraSource, RobotDevice


class DeviceAround:
    """Passes everything on; what is made of it adds what it adds.

    Args:
        device: The device.
    """

    def __init__(self, device: RobotDevice) -> None:
        self._device = device

    @property
    def description(self) -> str:
        """What it is, for people."""
        return self._device.description

    @property
    def simulated(self) -> bool:
        """As the device's."""
        return self._device.simulated

    def start(self) -> None:
        """Start the device."""
        self._device.start()

    def stop(self) -> None:
        """Stop the device."""
        self._device.stop()

    def command(self, q: NDArray[np.float64]) -> None:
        """Pass the set-points on, shape (n,), [rad]."""
        self._device.command(q)

    def rest(self) -> None:
        """Bring the device to rest."""
        self._device.rest()

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Step the device; positions and velocities, each shape (n,), [rad] and [rad/s]."""
        return self._device.step()

    def cameras(self) -> Mapping[str, CameraSource]:
        """The device's cameras."""
        return self._device.cameras()

    def task_begin(self, instruction: str) -> str:
        """Begin the device's task; why it is not measured, if so."""
        return self._device.task_begin(instruction)

    def task_end(self) -> Mapping[str, float]:
        """End the device's task."""
        return self._device.task_end()
