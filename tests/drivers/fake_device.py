"""A robot of joints that go where they are told at their velocity limit, and cameras that see a counter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.drivers.device import Capture
from unichunk.embodiments.drivers.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import Camera, EmbodimentSpec


class FakeDevice:
    simulated = True
    description = "fake"

    def __init__(self, spec: EmbodimentSpec) -> None:
        self.spec = spec
        self.q = spec.rest.copy()
        self.target = spec.rest.copy()
        self.resting = 0
        self.running = False
        self.fail_in_step: BaseException | None = None
        self.fail_in_open: BaseException | None = None
        self.fail_in_capture: BaseException | None = None
        self.hang_in_capture_s = 0.0
        self._measuring = False
        self.instruction: str | None = None
        self.unmeasured = ""

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def command(self, q: NDArray[np.float64]) -> None:
        assert self.running
        assert np.isfinite(q).all()
        self.target = q

    def rest(self) -> None:
        self.resting += 1
        self.target = self.q.copy()

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.fail_in_step is not None:
            raise self.fail_in_step
        most = self.spec.limits.velocity / self.spec.command_hz
        moved = np.clip(self.target - self.q, -most, most)
        self.q = self.q + moved
        return self.q.copy(), moved * self.spec.command_hz

    def cameras(self) -> Mapping[str, FakeCamera]:
        return {name: FakeCamera(self, camera) for name, camera in self.spec.cameras.items()}

    def task_begin(self, instruction: str) -> str:
        self._measuring = True
        self.instruction = instruction
        return self.unmeasured

    def task_end(self) -> dict[str, float]:
        if not self._measuring:
            raise DriverError("no task to end")
        self._measuring = False
        return {"duration_s": 1.0}


class FakeCamera:
    def __init__(self, device: FakeDevice, camera: Camera) -> None:
        self._device = device
        self._shape = (camera.height, camera.width, 3)
        self._count = 0

    def open(self) -> None:
        if self._device.fail_in_open is not None:
            raise self._device.fail_in_open

    def capture(self) -> Capture:
        if self._device.fail_in_capture is not None:
            raise self._device.fail_in_capture
        time.sleep(self._device.hang_in_capture_s)
        self._count += 1
        return Capture(time.monotonic_ns(), np.full(self._shape, self._count % 256, np.uint8))

    def close(self) -> None:
        pass
