"""The simulated robot as a device: MuJoCo steps in the control loop, each camera renders in its own thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.embodiments.drivers.device import Capture
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.task_meter import TaskMeter
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.instruction import InstructionUnclear, named_block
from unichunk.embodiments.sim.twin import Snapshot, Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec


@dataclass(frozen=True)
class _World:
    """The world after a step, as other threads may see it."""

    stamp_ns: int
    time: float
    q: NDArray[np.float64]
    snapshot: Snapshot


class SimulatedDevice:
    """A twin that runs in real time.

    Args:
        spec: The robot.
        seed: Seed of the blocks' paths.
    """

    simulated = True
    description = "MuJoCo twin"

    def __init__(self, spec: EmbodimentSpec, seed: int) -> None:
        self._spec = spec
        self._seed = seed
        self._meter: TaskMeter | None = None
        self._unmeasured = False

    def start(self) -> None:
        """Build the world.

        Raises:
            DriverError: Where the physics steps do not fit the command rate.
        """
        self._twin = Twin(self._spec, self._seed)
        period_s = 1 / self._spec.command_hz
        self._steps = round(period_s / self._twin.timestep)
        if abs(self._steps * self._twin.timestep - period_s) > 1e-9:
            raise DriverError(
                f"the simulator steps by {self._twin.timestep} s, which does not divide the command period {period_s} s"
            )
        self._world = self._look()

    def stop(self) -> None:
        """Nothing to release: the renderers belong to the cameras."""

    def command(self, q: NDArray[np.float64]) -> None:
        """Set the servos' targets, shape (n,), [rad]."""
        self._twin.set_command(q)

    def rest(self) -> None:
        """Have the servos hold the joints where they are."""
        self._twin.set_command(self._twin.q)

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Advance by one command period."""
        self._twin.advance(self._steps)
        self._world = self._look()
        meter = self._meter
        if meter is not None:
            meter.add(self._twin.truth())
        return self._world.q, self._twin.dq

    def cameras(self) -> Mapping[str, _SimulatedCamera]:
        """One off-screen renderer for each camera of the spec."""
        return {name: _SimulatedCamera(self._twin, name, lambda: self._world) for name in self._spec.cameras}

    def task_begin(self, instruction: str) -> str:
        """Begin to measure how well the block that the instruction names is followed.

        Returns:
            Why nothing is measured, where the instruction does not name one block.
        """
        self._meter, self._unmeasured = None, False
        try:
            block = named_block(instruction)
        except InstructionUnclear as unclear:
            self._unmeasured = True
            return f"{unclear} (the task is not measured)"
        self._meter = TaskMeter(block, self._world.time, self._world.q)
        return ""

    def task_end(self) -> Mapping[str, float]:
        """The tracking errors since `task_begin`, and what they compare with; nothing where no block was named.

        Raises:
            DriverError: Where no task was begun.
        """
        meter, self._meter = self._meter, None
        if self._unmeasured:
            self._unmeasured = False
            return {}
        if meter is None:
            raise DriverError("no task to end: task_begin was not called, or not since this driver started")
        return meter.numbers(self._spec, self._seed)

    def _look(self) -> _World:
        return _World(time.monotonic_ns(), self._twin.time, self._twin.q, self._twin.snapshot())


class _SimulatedCamera:
    def __init__(self, twin: Twin, name: str, newest: Callable[[], _World]) -> None:
        self._twin = twin
        self._name = name
        self._newest = newest

    def open(self) -> None:
        self._renderer = CameraRenderer(self._twin.model, self._name)

    def capture(self) -> Capture:
        world = self._newest()
        return Capture(world.stamp_ns, self._renderer.render(world.snapshot))

    def close(self) -> None:
        self._renderer.close()
