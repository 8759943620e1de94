"""A device that fails as planned, around one that works."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from unichunk.embodiments.drivers.device_around import DeviceAround
from unichunk.embodiments.drivers.faults import FaultKind, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.drivers.device import CameraSource, Capture, RobotDevice
    from unichunk.embodiments.drivers.faults import Fault


class FaultyDevice(DeviceAround):
    """Passes everything on, except for the planned faults.

    Args:
        device: The device that works.
        faults: What goes wrong, and when.
    """

    def __init__(self, device: RobotDevice, faults: Iterable[Fault]) -> None:
        super().__init__(device)
        self._plan = FaultPlan(faults)

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"{self._device.description}, with faults"

    def command(self, q: NDArray[np.float64]) -> None:
        """Pass the set-points on, shape (n,), [rad]."""
        self._plan.commanded(time.monotonic())
        self._device.command(q)

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Step the device, or end the process on the spot."""
        if self._plan.active(FaultKind.DIE, time.monotonic()):
            os._exit(1)
        return self._device.step()

    def cameras(self) -> Mapping[str, CameraSource]:
        """The device's cameras, which may freeze or stall."""
        return {name: _FaultyCamera(camera, self._plan) for name, camera in self._device.cameras().items()}


class _FaultyCamera:
    def __init__(self, camera: CameraSource, plan: FaultPlan) -> None:
        self._camera = camera
        self._plan = plan
        self._last: Capture | None = None

    def open(self) -> None:
        self._camera.open()

    def capture(self) -> Capture | None:
        now_s = time.monotonic()
        if self._plan.active(FaultKind.STALL_CAMERA, now_s):
            return None
        capture = self._camera.capture()
        if capture is None:
            return None
        if self._last is not None and self._plan.active(FaultKind.FREEZE_CAMERA, now_s):
            return replace(capture, image=self._last.image)
        self._last = capture
        return capture

    def close(self) -> None:
        self._camera.close()
