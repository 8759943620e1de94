"""A robot that stands in where there is no simulator: joints follow at once, cameras show synthetic pictures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.drivers.device import Capture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import Camera, EmbodimentSpec

PICTURES: Final = 8
"""Pictures that a camera shows in turn: no two frames in a row are the same."""


class StandInCamera:
    """Random pictures, made beforehand: a capture costs nothing but its stamp.

    Args:
        camera: What the spec says of it.
        seed: Of its pictures.
    """

    def __init__(self, camera: Camera, seed: int) -> None:
        shape = (PICTURES, camera.height, camera.width, 3)
        self._pictures = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        self._shown = 0

    def open(self) -> None:
        """Nothing to open."""

    def capture(self) -> Capture:
        """The next picture, stamped now."""
        self._shown += 1
        return Capture(time.monotonic_ns(), self._pictures[self._shown % PICTURES])

    def close(self) -> None:
        """Nothing to release."""


class StandInRobot:
    """A `RobotDevice` whose joints are where they were told to be.

    Args:
        spec: The robot.
    """

    description = "stand-in with synthetic pictures"
    simulated = True

    def __init__(self, spec: EmbodimentSpec) -> None:
        self._spec = spec
        self._q: NDArray[np.float64] = spec.rest.copy()
        self._before = self._q

    def start(self) -> None:
        """Nothing to open."""

    def stop(self) -> None:
        """Nothing to release."""

    def command(self, q: NDArray[np.float64]) -> None:
        """Be there at the next step, shape (n,), [rad]."""
        self._q = q.copy()

    def rest(self) -> None:
        """Stay."""

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions, [rad], and velocities, [rad/s], each shape (n,)."""
        velocity = (self._q - self._before) * self._spec.command_hz
        self._before = self._q
        return self._q.copy(), velocity

    def cameras(self) -> Mapping[str, StandInCamera]:
        """One for each of the spec's."""
        return {name: StandInCamera(camera, seed) for seed, (name, camera) in enumerate(self._spec.cameras.items())}

    def task_begin(self, instruction: str) -> str:  # noqa: ARG002  part of the protocol
        """It measures nothing."""
        return ""

    def task_end(self) -> Mapping[str, float]:
        """It measures nothing."""
        return {}
