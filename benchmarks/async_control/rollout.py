"""Episodes of a task under a method and a latency, in virtual time: integer ticks, no clock, no thread.

An inference sees the observation of tick t0 before t0 is executed. While it takes its ticks the world runs on with the
rows of the plan before; then its chunk is stitched in, and the next inference begins. The first chunk is there when
the world begins, for every method.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

import numpy as np

from unichunk.benchmarks.async_control.lanes import Lanes
from unichunk.benchmarks.async_control.latency import FixedDelay
from unichunk.benchmarks.async_control.methods import Request
from unichunk.benchmarks.async_control.task import State

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.latency import Latency
    from unichunk.benchmarks.async_control.methods import Method
    from unichunk.benchmarks.async_control.task import Task
    from unichunk.benchmarks.async_control.training import Trained
    from unichunk.runtime.producer import ChunkRecord


@dataclass
class Tally:
    """What happened to the chunks of some episodes.

    Attributes:
        chunks: How many arrived.
        violations: How many were conditioned on something else than what ran before their first row.
        late: How many lost rows of their own.
        underruns: Ticks without a row.
        committed: Rows committed, in all.
        waited: Ticks that the world stood still in an episode.
    """

    chunks: int = 0
    violations: int = 0
    late: int = 0
    underruns: int = 0
    committed: int = 0
    waited: int = 0

    def count(self, records: list[ChunkRecord]) -> None:
        """Take in what became of one inference in every lane."""
        self.chunks += len(records)
        self.violations += sum(not record.intact for record in records)
        self.late += sum(record.dropped > 0 for record in records)
        self.committed += sum(record.commitment.delay for record in records)


@dataclass(frozen=True)
class Episodes:
    """What B episodes came to.

    Attributes:
        success: Shape (B,).
        actions: What was executed, shape (ticks, B, actions).
        seams: True where the row came from another chunk than the one before it, shape (ticks, B).
        tally: Of their chunks.
    """

    success: NDArray[np.bool_]
    actions: NDArray[np.float64]
    seams: NDArray[np.bool_]
    tally: Tally


@dataclass
class Rollout(Generic[State]):
    """B episodes side by side.

    Attributes:
        task: What is to be done.
        method: How chunks are made and joined.
        trained: The method's policy.
        latency: How long inferences take.
        episodes: B.
        seed: The world, its latencies and the policy's noise draw from it, each on its own: all methods meet the same.
        apart: One ring buffer for each episode: needed where chunks are late on purpose.
    """

    task: Task[State]
    method: Method
    trained: Trained
    latency: Latency
    episodes: int
    seed: int
    apart: bool = False
    _state: State = field(init=False)
    _tick: int = field(default=0, init=False)
    _tally: Tally = field(default_factory=Tally, init=False)

    def run(self) -> Episodes:
        """From the beginning to the end."""
        world, latencies, self._noise = (np.random.default_rng([self.seed, part]) for part in range(3))
        self._world, task = world, self.task
        estimator = self.latency.estimator(task.action_hz, latencies)
        free = self.method.waits or self.method.stalls
        self._lanes = Lanes(
            self.episodes,
            task.actions,
            self.trained.policy.chunk_length,
            task.action_hz,
            FixedDelay(task.action_hz, 0) if free else estimator,
            apart=self.apart,
        )
        self._actions = np.zeros((task.ticks, self.episodes, task.actions))
        self._chunk = np.zeros((task.ticks, self.episodes), np.int64)
        self._state = task.begin(world, self.episodes)
        for number, ticks in enumerate(self.latency.draw(latencies, task.ticks)):
            if self._tick >= task.ticks:
                break
            if number == 0 or self.method.stalls:
                self._infer_stalling(number, int(ticks))
            else:
                self._infer(int(ticks))
        seams = np.zeros(self._chunk.shape, np.bool_)
        seams[1:] = (self._chunk[1:] != self._chunk[:-1]) & (self._chunk[1:] >= 0) & (self._chunk[:-1] >= 0)
        return Episodes(task.success(self._state), self._actions, seams, self._tally)

    def _infer_stalling(self, number: int, ticks: int) -> None:
        """One inference with nothing to go on from; nothing is executed meanwhile, the first one takes no time."""
        length, actions = self.trained.policy.chunk_length, self.task.actions
        nothing = np.zeros((self.episodes, length, actions), np.float32)
        chunks = self._answer(Request(self.task.observe(self._state), nothing, 0, 0))
        if number:
            self._advance(self._tick + ticks)
        horizon = max(1, ticks)
        self._lanes.publish(number, self._tick, chunks[:, :horizon] if self.method.stalls else chunks)
        self._advance(self._tick + horizon)

    def _infer(self, ticks: int) -> None:
        """One inference, while the world runs on or waits, and the ticks until the next one."""
        begun = self._tick
        overlap = self._lanes.overlap(begun)
        commitments = self._lanes.begin(begun)
        delay = commitments[0].delay
        running = self._lanes.running(commitments)
        chunks = self._answer(Request(self.task.observe(self._state), running, max(overlap, delay), delay))
        if self.method.waits:
            self._tally.waited += ticks
        else:
            self._advance(begun + ticks)
        if self._tick < self.task.ticks:
            self._tally.count(self._lanes.finish(commitments, chunks, self._tick))
        self._advance(begun + max(1, ticks))

    def _answer(self, request: Request) -> NDArray[np.float32]:
        return self.method.answer(self.task, self.trained, request, self._noise)

    def _advance(self, end: int) -> None:
        """Execute ticks up to `end` or to the end of the episodes."""
        for tick in range(self._tick, min(end, self.task.ticks)):
            action, chunk, missing = self._lanes.read(tick)
            self._tally.underruns += missing
            self._actions[tick] = action
            self._chunk[tick] = chunk
            self._state = self.task.step(self._state, action, self._world)
            self._tick = tick + 1
