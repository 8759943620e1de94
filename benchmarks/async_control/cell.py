"""One cell of the table: a task, a method, a chunk length and a latency, over many episodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.async_control.latency import DelayKind, Latency
from unichunk.benchmarks.async_control.methods import METHODS
from unichunk.benchmarks.async_control.rollout import Rollout
from unichunk.benchmarks.async_control.tasks import TASKS
from unichunk.embodiments.sim.intervals import wilson

if TYPE_CHECKING:
    from unichunk.benchmarks.async_control.rollout import Episodes
    from unichunk.benchmarks.async_control.task import Task
    from unichunk.benchmarks.async_control.training import Trained

SEQUENCES: Final = 16
"""Groups of episodes with latencies of their own where latencies are drawn."""


@dataclass(frozen=True)
class Cell:
    """What is measured.

    Attributes:
        task: Its name.
        method: Its name.
        chunk: T.
        latency: How long inferences take.
        episodes: How many.
        seed: Of worlds and noise: the same for all methods, so that their rows can be compared.
    """

    task: str
    method: str
    chunk: int
    latency: Latency
    episodes: int
    seed: int = 0


def measure(cell: Cell, trained: Trained) -> dict[str, Any]:
    """Run the episodes; a row of the table."""
    task, method = TASKS[cell.task](), METHODS[cell.method]
    sampled = cell.latency.kind is DelayKind.SAMPLED
    groups = min(SEQUENCES, cell.episodes) if sampled else 1
    late = cell.latency.kind is DelayKind.UNDERESTIMATED
    begun, runs = time.monotonic(), []
    for group in range(groups):
        count = cell.episodes * (group + 1) // groups - cell.episodes * group // groups
        rollout = Rollout(task, method, trained, cell.latency, count, cell.seed + 1000 * group, apart=late)
        runs.append(rollout.run())
    return {
        "task": cell.task,
        "method": cell.method,
        "delay": cell.latency.ticks,
        "delay_kind": cell.latency.kind.value,
        "chunk": cell.chunk,
        **_outcome(task, runs),
        "variant": method.variant.value,
        "seconds": round(time.monotonic() - begun, 2),
    }


def _outcome(task: Task[Any], runs: list[Episodes]) -> dict[str, Any]:
    """Success, throughput, smoothness and what became of the chunks."""
    succeeded = int(sum(run.success.sum() for run in runs))
    episodes = int(sum(len(run.success) for run in runs))
    low, high = wilson(succeeded, episodes)
    tallies = [run.tally for run in runs]
    chunks = max(1, sum(tally.chunks for tally in tallies))
    seconds = sum(len(run.success) * (task.ticks + run.tally.waited) for run in runs) / task.action_hz
    return {
        "episodes": episodes,
        "success": round(succeeded / episodes, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "successes_per_s": round(succeeded / seconds, 4),
        **roughness(runs),
        "violations": round(sum(tally.violations for tally in tallies) / chunks, 4),
        "late": round(sum(tally.late for tally in tallies) / chunks, 4),
        "committed": round(sum(tally.committed for tally in tallies) / chunks, 2),
        "underrun_ticks": round(sum(tally.underruns for tally in tallies) / len(runs), 2),
    }


def roughness(runs: list[Episodes]) -> dict[str, float | None]:
    """Changes of the executed actions, root mean square: at seams, elsewhere, and second differences.

    None where there is nothing to average, as elsewhere where every row is the first of its chunk.
    """
    seams, steps, bends = [], [], []
    for run in runs:
        changes = np.diff(run.actions, axis=0)
        seams.append(changes[run.seams[1:]])
        steps.append(changes[~run.seams[1:]])
        bends.append(np.diff(changes, axis=0).ravel())
    return {"seam_rms": _rms(seams), "step_rms": _rms(steps), "bend_rms": _rms(bends)}


def _rms(parts: list[np.ndarray[Any, np.dtype[np.float64]]]) -> float | None:
    values = np.concatenate(parts)
    return round(float(np.sqrt(np.mean(np.square(values)))), 4) if values.size else None
