"""The inference thread: observe, commit, infer, stitch, again and again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from unichunk.runtime.errors import ObservationError, PolicyError, PolicyLate
from unichunk.runtime.inference_telemetry import InferenceTelemetry
from unichunk.runtime.realtime import collect_between_chunks
from unichunk.runtime.state_forward import told_observation
from unichunk.runtime.thinker import Thinker
from unichunk.runtime.thought_telemetry import ThoughtTelemetry

if TYPE_CHECKING:
    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy
    from unichunk.runtime.limits import JointLimits
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.producer import Producer
    from unichunk.runtime.ring_buffer import RingBuffer
    from unichunk.runtime.sensor_health import SensorHealth
    from unichunk.runtime.ticks import Timebase

WAIT_S: Final = 0.02
"""Longest time the thread sleeps without looking whether it shall stop, [s]."""


class ObservationSource(Protocol):
    """Where observations come from."""

    def newest(self) -> Observation | None:
        """The newest observation; None until there is one. Never blocks."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait for something new; False where nothing came in time."""
        ...


@dataclass(frozen=True)
class Episode:
    """One stretch of running: from the first tick after synchronizing until the robot holds.

    Attributes:
        first_tick: Observations of earlier ticks are not acted on.
        producer: Commits and stitches into this stretch's rows.
    """

    first_tick: int
    producer: Producer


class InferenceThread(threading.Thread):
    """Produces chunks while an episode is on; otherwise leaves policy and sensors alone.

    A policy that writes text before it acts thinks in slices: while there is nothing new to act on, and one slice from
    chunk to chunk at least, or as many as it has patience for; but only where the next chunk comes in time all the
    same. Meanwhile it acts on the last text that was finished.

    Args:
        source: Observations.
        policy: What predicts.
        adapter: Robot <-> policy keys.
        instruction: What the robot shall do.
        ring: Asked how many rows remain.
        timebase: Maps stamps to ticks.
        health: Judges observations.
        limits: Of the joints, which no state that is told goes beyond.
        replan_below: Start an inference only when fewer rows than this remain (never so late that its chunk could not
            arrive in time); None: as soon as the last one ended and there is a new observation.
        thinker: Thoughts of the policy; None for one that does not think.
    """

    def __init__(
        self,
        source: ObservationSource,
        policy: ChunkPolicy,
        adapter: Adapter,
        instruction: str,
        ring: RingBuffer,
        timebase: Timebase,
        health: SensorHealth,
        limits: JointLimits,
        *,
        replan_below: int | None = None,
        thinker: Thinker | None = None,
    ) -> None:
        super().__init__(name="inference", daemon=True)
        self._source = source
        self._policy = policy
        self._adapter = adapter
        self._instruction = instruction
        self._ring = ring
        self._timebase = timebase
        self._health = health
        self._limits = limits
        self._replan_below = replan_below
        self._thinker = thinker or Thinker(None)
        self._thought = False
        self._episode: Episode | None = None
        self._wake = threading.Condition()
        self._busy = False
        self._stopping = False
        self._last_stamp_ns = -1
        self._waiting_since_ns = 0
        self.telemetry = InferenceTelemetry()
        self.thoughts = ThoughtTelemetry()
        self.used_ns = 0
        """When the last chunk was stitched, or else when the episode began, [ns]."""
        self.problem: str | None = None
        """What is wrong with the observations; None while they are good."""
        self.failure: BaseException | None = None
        """What ended the thread before it was asked to end."""

    def begin(self, episode: Episode) -> None:
        """Start producing chunks for an episode."""
        with self._wake:
            self._health.reset()
            self.problem = None
            self._waiting_since_ns = self.used_ns = time.monotonic_ns()
            self._thinker.rest(self.used_ns)
            self._episode = episode
            self._wake.notify_all()

    def pause(self, timeout_s: float) -> bool:
        """End the episode and wait until the thread rests; False where it did not within the time."""
        with self._wake:
            self._episode = None
            return self._wake.wait_for(lambda: not self._busy, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the thread; False where an inference outlasted the time (the thread then ends with the process)."""
        with self._wake:
            self._episode = None
            self._stopping = True
            self._wake.notify_all()
        self.join(timeout_s)
        return not self.is_alive()

    def run(self) -> None:
        """Produce until `stop`."""
        try:
            while (episode := self._next_episode()) is not None:
                self._cycle(episode)
        except BaseException as failure:  # noqa: BLE001  handed to the supervisor, which holds the robot
            self.failure = failure
        finally:
            with self._wake:
                self._busy = False
                self._wake.notify_all()

    def _next_episode(self) -> Episode | None:
        with self._wake:
            self._busy = False
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._episode is not None or self._stopping)
            self._busy = not self._stopping
            return None if self._stopping else self._episode

    def _cycle(self, episode: Episode) -> None:
        observation = self._source.newest()
        now_ns = time.monotonic_ns()
        self.problem = self._health.problem(observation, now_ns, self._waiting_since_ns)
        if observation is None or self.problem is not None:
            self._source.wait(WAIT_S)
        elif self._may_think(observation, episode.producer, now_ns):
            self._think(observation)
        elif self._due(observation, episode):
            self._last_stamp_ns = observation.stamp_ns
            self._produce(observation, episode.producer)
            self._thought = False
            collect_between_chunks()
        else:
            self._source.wait(WAIT_S)

    def _may_think(self, observation: Observation, producer: Producer, now_ns: int) -> bool:
        slice_s = self._thinker.slice_s if self._thinker.wanted(now_ns) else None
        if slice_s is None:
            return False
        unused = observation.stamp_ns != self._last_stamp_ns
        age_s = (now_ns - observation.stamp_ns) / 1e9
        if unused and self._thought and age_s + slice_s > self._thinker.patience_s:
            return False
        return producer.can_wait(slice_s, now_ns, observation.stamp_ns if unused else None)

    def _think(self, observation: Observation) -> None:
        self._thought = True
        thought = self._thinker.think(
            lambda: self._adapter.policy_input(observation, self._instruction), time.monotonic_ns
        )
        if thought is not None:
            self.thoughts.add(thought)

    def _due(self, observation: Observation, episode: Episode) -> bool:
        if observation.stamp_ns == self._last_stamp_ns:
            return False
        if self._timebase.tick_at(observation.stamp_ns) < episode.first_tick:
            return False
        remaining = self._ring.end - 1 - self._ring.cursor
        return self._replan_below is None or remaining < max(self._replan_below, episode.producer.rows_to_arrive)

    def _produce(self, observation: Observation, producer: Producer) -> None:
        commitment = producer.begin(observation.stamp_ns, time.monotonic_ns(), aged=self._thought)
        try:
            told = told_observation(observation, commitment, self._limits, self._policy.state_time)
            inputs = self._thinker.told(self._adapter.policy_input(told, self._instruction))
            chunk = self._policy.infer(inputs, commitment.running, commitment.delay)
            joints = self._adapter.joints(chunk.actions, commitment.before, commitment.delay)
            record = producer.finish(commitment, chunk.unified, joints, time.monotonic_ns, cold=chunk.cold)
        except PolicyLate as late:
            # Nothing was wrong with it: there was no answer, and the next observation is a new try.
            self.telemetry.miss(str(late), commitment.begun_ns, time.monotonic_ns())
            return
        except (PolicyError, ObservationError) as error:
            self.telemetry.rejection(str(error))
            return
        self.telemetry.chunk(record)
        self.telemetry.refinement.add(chunk.gates, chunk.discrepancies)
        self.thoughts.answer(chunk.text)
        if not record.lost:
            self.used_ns = time.monotonic_ns()
