"""Plays episodes of the follow task in the simulator and records them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.demonstrations import Demonstrations
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.exploration import Exploration, longest_honest_delay, longest_reaction, reaction_times
from unichunk.embodiments.sim.hands import POSTURES
from unichunk.embodiments.sim.lighting import MILD
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Snapshot, Twin
from unichunk.runtime.policy.preprocessing import fit_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

TICKS: Final = 160
"""Length of an episode, in ticks."""

SWITCH_PROBABILITY: Final = 0.25
"""How often the demonstrator is told to follow the other block in the middle of an episode; as often, and
independently, it is told another posture of the hands."""

STALEST_S: Final = 0.07
"""Oldest picture at the start of a tick, [s]: a camera's period and some transport."""

LEAST_SAMPLES_HZ: Final = 100
"""Commands a second at least while recording. Robots that are commanded faster are recorded at about this rate, which
changes nothing that a camera sees and saves most of the physics."""

REST_PROBABILITY: Final = 0.15
"""How many episodes begin in the rest pose."""

START_SPREAD: Final = 0.12
"""Standard deviation of a joint at the start of the others, [rad], for a joint that gets all of the noise."""


class Recorder:
    """Plays episodes in the simulator and records them.

    Args:
        spec: The robot.
        camera: Camera to record.
        size: Edge of the recorded images, in pixels.
        max_delay: Longest prefix that training will lock.
    """

    def __init__(self, spec: EmbodimentSpec, camera: str, size: int, max_delay: int) -> None:
        self._spec, self._size, self._max_delay = _coarsely_commanded(spec), size, max_delay
        self._expert, self._exploration = Expert(spec), Exploration(spec)
        self._renderer = CameraRenderer(Twin(self._spec).model, camera)

    def record(self, seeds: Sequence[int]) -> Demonstrations:
        """One episode for each seed."""
        return Demonstrations.joined([self._episode(seed) for seed in seeds])

    def close(self) -> None:
        """Release the camera; in the thread that made the recorder."""
        self._renderer.close()

    def _episode(self, seed: int) -> Demonstrations:
        random = np.random.default_rng([seed, 0xDE30])
        twin = Twin(self._spec, seed)
        start = self._start(random, twin)
        twin.reset(start, float(random.uniform(0.0, 5.0)))
        ages = reaction_times(random, TICKS, longest_reaction(self._max_delay))
        followed, posture = _told(random, len(BLOCKS)), _told(random, len(POSTURES))
        lighting = MILD.draw(random)
        goals = self._goals(twin, ages, followed, posture)
        executed, seen = self._play(twin, start, goals, self._exploration.noise(random, TICKS), random)
        times = np.array([snapshot.time for snapshot, _ in seen])
        ticks = np.arange(TICKS)
        return Demonstrations(
            images=np.stack([fit_image(self._renderer.render(snapshot, lighting), self._size) for snapshot, _ in seen]),
            q=np.stack([q for _, q in seen]).astype(np.float32),
            goal=np.stack([twin.task.goal(block, times) for block in BLOCKS], axis=1).astype(np.float32),
            followed=followed,
            posture=posture,
            episode=np.zeros(TICKS, dtype=np.int64),
            tick=ticks,
            most_locked=np.array([longest_honest_delay(ages, int(tick), self._max_delay) for tick in ticks]),
            rows=executed[None],
        )

    def _goals(
        self, twin: Twin, ages: NDArray[np.int64], followed: NDArray[np.int64], posture: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """What the demonstrator aims at in each tick, shape (ticks, n), [rad].

        The block that it was told to follow a while ago, where it was then, with the posture that it was told then.
        """
        ticks = np.arange(len(ages))
        told = np.maximum(0, ticks - ages)
        times = np.maximum(0.0, twin.time + (ticks - ages) / self._spec.action_hz)
        goals = np.stack([twin.task.goal(block, times, posture[told]) for block in BLOCKS])
        late: NDArray[np.float64] = goals[followed[told], ticks]
        return late

    def _play(
        self,
        twin: Twin,
        start: NDArray[np.float64],
        goals: NDArray[np.float64],
        noise: NDArray[np.float64],
        random: np.random.Generator,
    ) -> tuple[NDArray[np.float64], list[tuple[Snapshot, NDArray[np.float64]]]]:
        """Executed rows (1 + ticks, n) and, for each tick, the snapshot and joint positions observed at its start."""
        samples = self._spec.command_hz // self._spec.action_hz
        stalest = round(STALEST_S * self._spec.command_hz)
        lower, upper = self._spec.limits.lower, self._spec.limits.upper
        ages = random.integers(0, stalest + 1, len(goals))
        observed = np.maximum(0, samples * np.arange(len(goals)) - ages)
        wanted = set(observed.tolist())
        history = {0: (twin.snapshot(), twin.q)}
        rows = [start, start, start]
        sample = 0
        for goal, error in zip(goals, noise, strict=True):
            rows.append(np.clip(self._expert.next_row(rows[-1], goal) + error, lower, upper))
            for _ in run_tick(twin, np.stack(rows[-3:])):
                sample += 1
                if sample in wanted:
                    history[sample] = (twin.snapshot(), twin.q)
        return np.stack(rows[2:]), [history[int(number)] for number in observed]

    def _start(self, random: np.random.Generator, twin: Twin) -> NDArray[np.float64]:
        """At a random point, each joint somewhat off, hands anywhere; now and then the rest pose."""
        limits, task = self._spec.limits, twin.task
        if random.random() < REST_PROBABILITY:
            return self._spec.rest.copy()
        q = task.goals.joints(np.array([random.uniform(*task.task.region_x), random.uniform(*task.task.region_y)]))
        q += START_SPREAD * self._exploration.share * random.standard_normal(limits.size)
        hands = task.hands.index
        opened, closed = task.hands.values("open"), task.hands.values("closed")
        fraction = np.clip(random.uniform(-0.1, 1.1) + 0.1 * random.standard_normal(hands.size), 0.0, 1.0)
        q[hands] = opened + fraction * (closed - opened)
        return np.clip(q, limits.lower, limits.upper)


def _coarsely_commanded(spec: EmbodimentSpec) -> EmbodimentSpec:
    """The robot with all groups commanded about `LEAST_SAMPLES_HZ` times a second: a whole number in each tick."""
    hz = spec.action_hz * -(-LEAST_SAMPLES_HZ // spec.action_hz)
    groups = {name: msgspec.structs.replace(group, command_hz=hz) for name, group in spec.groups.items()}
    return msgspec.structs.replace(spec, groups=groups)


def _told(random: np.random.Generator, choices: int) -> NDArray[np.int64]:
    """Which of some choices the demonstrator is told in each tick, shape (TICKS,)."""
    told = np.full(TICKS, random.integers(choices), dtype=np.int64)
    if random.random() < SWITCH_PROBABILITY:
        told[random.integers(TICKS // 8, TICKS) :] = (told[0] + random.integers(1, choices)) % choices
    return told
