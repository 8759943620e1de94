"""The real inference thread's cycles in virtual time: a camera, a control thread, a policy and a reasoner that take it.

Durations are thousandths of a tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.runtime.fake_policy import FIRST_STEP, FakePolicy, Joints, Unified, encode, hold
from tests.runtime.ring_model import RingModel
from tests.runtime.watched_ring import WatchedRing
from unichunk.runtime import inference_thread
from unichunk.runtime.chunking import largest_delay, required_delay
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.errors import PolicyError
from unichunk.runtime.inference_thread import Episode, InferenceThread
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.observation import Observation, RobotState
from unichunk.runtime.producer import Producer
from unichunk.runtime.reasoning import THOUGHT_KEY
from unichunk.runtime.ring_buffer import Row
from unichunk.runtime.thinker import Thinker, Thought, ThoughtEnd
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections.abc import Mapping

HZ, N = 20, 2
TICK_NS = 1_000_000_000 // HZ
UNIT_NS = TICK_NS // 1000
EPOCH_NS = 7_000_000_000


@dataclass(frozen=True)
class Times:
    """What is known before the run.

    Attributes:
        chunk_length: T.
        latency: Longest inference.
        begin: Longest begin of a thought.
        step: Longest step of one.
        camera: Between two frames.
        lateness: Longest time until a frame arrives.
        gap: Between two thoughts.
        patience: For which an observation may be left aside.
        age: Age of an observation that is acted on at once; None for the most that it can be.
        trained: Longest prefix that the policy was trained to continue; None for T.
    """

    chunk_length: int = 24
    latency: int = 2500
    begin: int = 1200
    step: int = 300
    camera: int = 1000
    lateness: int = 200
    gap: int = 0
    patience: int = 1 << 40
    age: int | None = None
    trained: int | None = None

    @property
    def fits(self) -> bool:
        """Whether acting alone runs out of rows under no circumstances."""
        age = self.camera + self.lateness
        delay = required_delay((age + self.latency) / 1000 / HZ, HZ, 1)
        rows = 1000 * (self.chunk_length - 4) - age - self.latency
        return delay <= largest_delay(self.chunk_length, 2, self.chunk_length) and rows > 1000 * delay


class World:
    """Acts as everything that the inference thread talks to.

    Attributes:
        latency, begin, step, lateness: As things are just now, at most what is known of them.
        tokens: Steps of a thought; None for one that never ends.
        fault: Whether the reasoner fails.
        thoughts: All that ended.
        acted_on: Texts that the policy was told, in order.
    """

    most_steps = 12
    locks = True
    state_time = "observation"

    def __init__(self, times: Times, *, thinks: bool) -> None:
        self.times = times
        self.latency, self.begin_, self.step_ = times.latency, times.begin, times.step
        self.lateness = times.lateness
        self.tokens: int | None = 3
        self.fault = False
        self.thoughts: list[Thought] = []
        self.acted_on: list[str | None] = []
        self.expected_text = ""
        self.now_ns = EPOCH_NS
        self.tick = -1
        self.timebase = Timebase(EPOCH_NS, HZ, HZ)
        length, rest = times.chunk_length, np.zeros(N)
        self._policy = FakePolicy(length, N, np.full(N, 0.01), 1.0, smooth=True, seed=1)
        self.model = RingModel(4 * length + 10, length, _still)
        self.ring = WatchedRing(4 * length + 10, length, N, hold(N), self.model, lambda: None)
        self._row, self._rest = Row(np.zeros(N)), rest
        self._reading = False
        self.estimator = DelayEstimator(HZ, 1)
        age = times.camera + times.lateness if times.age is None else times.age
        self.estimator.observe(age / 1000 / HZ, times.latency / 1000 / HZ)
        self.known_delay = self.estimator.delay()
        self.thinker = Thinker(self if thinks else None, times.gap * UNIT_NS / 1e9, times.patience * UNIT_NS / 1e9)
        self._chunks = 0
        self._written = 0
        if thinks:
            self._measure()
        limits = JointLimits.of(("a", "b"), [-2.0] * N, [2.0] * N, [1.0] * N, [1.0] * N)
        world: Any = self
        self.thread = InferenceThread(
            world, world, world, "go", self.ring, self.timebase, world, limits, thinker=self.thinker
        )
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(inference_thread, "time", SimpleNamespace(monotonic_ns=lambda: self.now_ns))
        self._patch.setattr(inference_thread, "collect_between_chunks", lambda: None)
        self.set_out()

    def close(self) -> None:
        self._patch.undo()

    def set_out(self) -> None:
        """A stretch of running begins, from rest."""
        self.model.committed.clear()
        first = self.tick + 2
        length = self.times.chunk_length
        self.ring.start(
            first, min(length, 2 * self.estimator.delay() + 2), encode(self._rest[None], self._rest)[0], self._rest
        )
        producer = Producer(
            self.ring,
            self.estimator,
            self.timebase,
            encode=encode,
            joint_step=np.ones(N),
            minimum_postfix=2,
            trained_delay=self.times.trained or length,
            chunk_length=length,
            number=self._chunks,
        )
        self._first, self._reading = first, True
        self.episode = Episode(first, producer)
        self.thread.begin(self.episode)

    def cycles(self, count: int) -> None:
        """What the inference thread does, again and again."""
        for _ in range(count):
            self.thread._cycle(self.episode)
            self.thoughts += self.thread.thoughts._kept
            self.thread.thoughts._kept.clear()

    def run_for(self, ticks: int) -> None:
        """The same until some ticks have gone by."""
        end = self.tick + ticks
        while self.tick < end:
            self.cycles(1)

    def pass_time(self, thousandths: int) -> None:
        """The control thread reads a row at every tick that begins meanwhile."""
        end_ns = self.now_ns + thousandths * UNIT_NS
        while self.timebase.tick_at(end_ns) > self.tick:
            self.tick += 1
            self.now_ns = EPOCH_NS + self.tick * TICK_NS
            if self._reading and self.tick >= self._first:
                self.ring.read(self.tick, self._row)
        self.now_ns = end_ns

    # Camera, and its health.

    def newest(self) -> Observation:
        period = self.times.camera * UNIT_NS
        frame = (self.now_ns - EPOCH_NS - self.lateness * UNIT_NS) // period
        stamp_ns = EPOCH_NS + frame * period
        return Observation(stamp_ns, RobotState(stamp_ns, 0, self._rest, self._rest, watchdog=False), {})

    def wait(self, timeout_s: float) -> bool:
        self.pass_time(50)
        return True

    def problem(self, *_: object) -> None:
        return None

    def reset(self) -> None:
        pass

    # Policy and adapter.

    def policy_input(self, observation: Observation, instruction: str) -> dict[str, Any]:
        return {"stamp": observation.stamp_ns}

    def infer(self, inputs: Mapping[str, Any], previous: Unified | None, delay: int) -> Any:
        assert inputs.get(THOUGHT_KEY, "") == self.expected_text, "the policy acts on another text than the last one"
        self.acted_on.append(inputs.get(THOUGHT_KEY))
        self.pass_time(self.latency)
        assert previous is not None or delay == 0
        rows = (
            np.zeros((self.times.chunk_length, 200), np.float32) if previous is None else _padded(previous, self.times)
        )
        unified, joints = self._policy.answer(self._chunks, rows, delay, broken=False)
        self._chunks += 1
        return SimpleNamespace(
            unified=unified, actions={"joints": joints}, cold=False, text=None, gates=None, discrepancies=None
        )

    def joints(self, actions: dict[str, Joints], before: Joints, delay: int) -> Joints:
        return actions["joints"]

    # Reasoner.

    def begin(self, observation: Mapping[str, Any]) -> None:
        assert THOUGHT_KEY not in observation
        self._written = 0
        self.pass_time(self.begin_)

    def step(self) -> str | None:
        self.pass_time(self.step_)
        if self.fault:
            raise PolicyError("no thought")
        self._written += 1
        if self.tokens is None or self._written < self.tokens:
            return None
        self.expected_text = f"thought at {self.now_ns}"
        return self.expected_text

    def _measure(self) -> None:
        """One thought of which every slice takes as long as it ever will."""
        times = iter([0, self.times.begin * UNIT_NS, 0, self.times.step * UNIT_NS])
        before, self.now_ns, self.tokens = self.now_ns, self.now_ns, 1
        while self.thinker.think(dict, lambda: next(times)) is None:
            pass
        self.now_ns, self.tick, self.tokens = before, -1, 3
        self.thinker.text = self.expected_text


def ends(world: World) -> list[ThoughtEnd]:
    return [thought.end for thought in world.thoughts]


def _padded(rows: Unified, times: Times) -> Unified:
    return np.concatenate([rows, np.repeat(rows[-1:], times.chunk_length - len(rows), axis=0)])


def _still(unified: Unified, joints: Joints) -> tuple[Unified, Joints]:
    following = unified.copy()
    following[FIRST_STEP : FIRST_STEP + N] = 0
    return following, joints
