"""The simulated robot as a device: MuJoCo steps in the control loop, each camera renders in its own thread."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.drivers.command_channel import CommandChannel
from unichunk.embodiments.drivers.device import Capture
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.group_rates import GroupRates
from unichunk.embodiments.drivers.task_meter import TaskMeter
from unichunk.embodiments.drivers.twin_conditions import IDEAL, TwinConditions
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.instruction import InstructionUnclear, parse_instruction
from unichunk.embodiments.sim.twin import Snapshot, Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

LOOKS_HZ: Final = 250
"""The world is copied for the cameras and the task about so many times a second, however fast the commands are."""


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
        seed: Seed of the blocks' paths and of all noise.
        conditions: What is not ideal about it.
        objects: Whether the loose objects of the spec are there.
    """

    simulated = True

    def __init__(
        self,
        spec: EmbodimentSpec,
        seed: int,
        conditions: TwinConditions = IDEAL,
        *,
        objects: bool = False,
    ) -> None:
        self._spec = spec
        self._seed = seed
        self._conditions = conditions
        self._objects = objects
        self._random = np.random.default_rng([seed, 0x5E15E])
        self._channel = CommandChannel(
            round(conditions.command_delay_s * spec.command_hz), conditions.command_loss, seed
        )
        self._look_periods = max(1, spec.command_hz // LOOKS_HZ)
        self._ticks = GroupRates({"tick": spec.action_hz}, spec.command_hz)
        self._period = 0
        self._meter: TaskMeter | None = None
        self._unmeasured = False

    @property
    def description(self) -> str:
        """What it is, for people."""
        conditions = str(self._conditions)
        return f"MuJoCo twin, {conditions}" if conditions else "MuJoCo twin"

    def start(self) -> None:
        """Build the world.

        Raises:
            SpecError: Where the robot cannot be simulated, with what is wrong in its spec.
        """
        self._twin = Twin(self._spec, self._seed, objects=self._objects)
        self._world = self._look()

    def stop(self) -> None:
        """Nothing to release: the renderers belong to the cameras."""

    def command(self, q: NDArray[np.float64]) -> None:
        """Send the servos their targets, shape (n,), [rad]."""
        self._channel.send(q)

    def rest(self) -> None:
        """Have the servos hold the joints where they are."""
        self._channel.clear()
        self._twin.set_command(self._twin.q)

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Advance by one command period."""
        twin = self._twin
        if (target := self._channel.receive()) is not None:
            twin.set_command(target)
        twin.advance(twin.steps_per_command)
        self._period += 1
        if self._period % self._look_periods == 0:
            self._world = self._look()
        meter = self._meter
        if meter is not None and self._ticks.due(self._period):
            meter.add(twin.time, twin.q)
        return self._measured()

    def cameras(self) -> Mapping[str, _SimulatedCamera]:
        """One off-screen renderer for each camera of the spec."""
        noise = self._conditions.image_noise
        return {
            name: _SimulatedCamera(
                self._twin, name, lambda: self._world, noise, np.random.default_rng([self._seed, 0x1A6E, number])
            )
            for number, name in enumerate(self._spec.cameras)
        }

    def task_begin(self, instruction: str) -> str:
        """Begin to measure how well the block that the instruction names is followed.

        Returns:
            Why nothing is measured, where the twin has no task or the instruction does not name one block.
        """
        self._meter, self._unmeasured = None, False
        if self._spec.twin is None or self._spec.twin.task is None:
            self._unmeasured = True
            return f"the {self._spec.name} twin has no task (nothing is measured)"
        try:
            asked = parse_instruction(instruction)
        except InstructionUnclear as unclear:
            self._unmeasured = True
            return f"{unclear} (the task is not measured)"
        self._meter = TaskMeter(asked, self._world.time, self._world.q)
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

    def _measured(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        q, dq, conditions = self._twin.q, self._twin.dq, self._conditions
        if conditions.position_noise:
            q += self._random.normal(0.0, conditions.position_noise, q.size)
        if conditions.velocity_noise:
            dq += self._random.normal(0.0, conditions.velocity_noise, dq.size)
        return q, dq


class _SimulatedCamera:
    def __init__(
        self, twin: Twin, name: str, newest: Callable[[], _World], noise: float, random: np.random.Generator
    ) -> None:
        self._twin = twin
        self._name = name
        self._newest = newest
        self._noise = noise
        self._random = random

    def open(self) -> None:
        # A real camera needs no processor: rendering, with the renderer's own threads, must not compete with inference.
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < 0:
            os.setpriority(os.PRIO_PROCESS, thread, 0)
        self._renderer = CameraRenderer(self._twin.model, self._name)

    def capture(self) -> Capture:
        world = self._newest()
        image = self._renderer.render(world.snapshot)
        if self._noise:
            noise = self._noise * self._random.standard_normal(image.shape, np.float32)
            image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
        return Capture(world.stamp_ns, image)

    def close(self) -> None:
        self._renderer.close()
