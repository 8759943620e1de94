"""What a run will cost: the floor of its matrix products and worlds, and a prediction from it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.async_control.bidirectional import CANDIDATES
from unichunk.benchmarks.async_control.flow import STEPS
from unichunk.benchmarks.async_control.latency import DelayKind
from unichunk.benchmarks.async_control.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.async_control.cell import Cell
    from unichunk.benchmarks.async_control.training import Recipe, Variant

ABOVE_FLOOR: Final = 1.8
"""What policies take, in floors: activations, optimizer, ring buffers, and processes that run out of work early."""
PASSES: Final = {"rtc": 2.0, "bidirectional": 2.0 * CANDIDATES}
"""Network passes at an Euler step of the methods that need more than one."""


@dataclass(frozen=True)
class Forecast:
    """Cost of a run.

    Attributes:
        cells_flop: Of all cells.
        training_flop: Of the policies that are not there yet.
        worlds_s: What the tasks' own steps take on one thread, [s].
        flop_per_s: Of one thread, the best measured right now with matrices of the policies' size.
        workers: Processes side by side.
        width: Of the policies' hidden layers.
    """

    cells_flop: float
    training_flop: float
    worlds_s: float
    flop_per_s: float
    workers: int
    width: int

    def floor_s(self) -> float:
        """Matrix products and worlds alone, [s]."""
        return ((self.cells_flop + self.training_flop) / self.flop_per_s + self.worlds_s) / self.workers

    def predicted_s(self) -> float:
        """With what comes on top, [s]."""
        return ABOVE_FLOOR * self.floor_s()

    def of_cell(self, cell: Cell) -> float:
        """Of one cell, [FLOP]."""
        return cell_flop(cell, self.width)

    def sentence(self) -> str:
        """The forecast in a line."""
        floor = self.floor_s()
        return (
            f"predicted: {self.predicted_s() / 60:.1f} min; floor {floor / 60:.1f} min: "
            f"{self.training_flop / 1e12:.1f} TFLOP of training and {self.cells_flop / 1e12:.1f} TFLOP of episodes "
            f"at {self.flop_per_s / 1e9:.0f} GFLOP/s, {self.worlds_s / 60:.1f} min of worlds, "
            f"on {self.workers} processes"
        )

    def as_dict(self) -> dict[str, Any]:
        """For the document."""
        return {
            "floor_s": round(self.floor_s(), 1),
            "predicted_s": round(self.predicted_s(), 1),
            "cells_flop": self.cells_flop,
            "training_flop": self.training_flop,
            "worlds_s": round(self.worlds_s, 1),
            "flop_per_s": self.flop_per_s,
        }


def forecast(
    cells: Sequence[Cell], missing: Sequence[tuple[str, int, Variant]], recipe: Recipe, workers: int
) -> Forecast:
    """What these cells cost and the training of the policies that are missing."""
    training = sum(
        6.0 * recipe.steps * recipe.batch * parameters(task, chunk, recipe.width) for task, chunk, _ in missing
    )
    episodes = sum(cell_flop(cell, recipe.width) for cell in cells)
    seconds = {name: _step_s(name) for name in {cell.task for cell in cells}}
    worlds = sum(seconds[cell.task] * TASKS[cell.task]().ticks * cell.episodes for cell in cells)
    return Forecast(episodes, training, worlds, _flop_per_s(recipe.width), workers, recipe.width)


def parameters(task: str, chunk: int, width: int) -> int:
    """Weights of a policy."""
    made = TASKS[task]()
    inputs = chunk * (made.actions + 1) + made.observations
    return inputs * width + 2 * width * width + width * chunk * made.actions


def cell_flop(cell: Cell, width: int) -> float:
    """Matrix products of a cell, [FLOP]."""
    ticks = TASKS[cell.task]().ticks
    period = max(1, cell.latency.ticks) * (2 if cell.method == "synchronous" else 1)
    if cell.latency.kind is DelayKind.SAMPLED:
        period = max(1, cell.latency.ticks // 2)
    passes = STEPS * PASSES.get(cell.method, 1.0) * ticks / period
    return 2.0 * passes * cell.episodes * parameters(cell.task, cell.chunk, width)


def _step_s(name: str) -> float:
    """A tick of one episode of a task, [s]."""
    task, random, count = TASKS[name](), np.random.default_rng(0), 256
    state = task.begin(random, count)
    action = np.zeros((count, task.actions))
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        state = task.step(state, action, random)
        task.observe(state)
        times.append(time.perf_counter() - begun)
    return min(times) / count


def _flop_per_s(width: int) -> float:
    """Of one thread, with matrices of a layer's size, [FLOP/s]."""
    values, weights = np.ones((512, width), np.float32), np.ones((width, width), np.float32)
    rates = []
    for _ in range(20):
        begun = time.perf_counter()
        values @ weights
        rates.append(2.0 * 512 * width * width / (time.perf_counter() - begun))
    return max(rates)
