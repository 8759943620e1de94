"""Demonstrations of the follow task: what the camera saw, where the joints were, what was executed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS, REGION_X, REGION_Y
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.exploration import longest_honest_delay, reaction_times, row_noise
from unichunk.embodiments.sim.lighting import MILD
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Snapshot, Twin
from unichunk.runtime.policy.preprocessing import fit_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

TICKS: Final = 160
"""Length of an episode, in ticks."""

SWITCH_PROBABILITY: Final = 0.25
"""How often the demonstrator is told to follow the other block in the middle of an episode."""

STALEST: Final = 7
"""Oldest picture at the start of a tick, in control samples: a camera's period and some transport."""


@dataclass(frozen=True)
class Demonstrations:
    """N observations from E episodes of R rows.

    Attributes:
        images: What the camera saw, fitted for the policy, shape (N, size, size, 3), uint8.
        q: Joint positions at the same instant, shape (N, n), [rad].
        goal: The expert's goals for the red and the blue block where they were at that instant, shape (N, 2, n), [rad].
        followed: Which block the demonstrator was told to follow at that tick, 0 red, 1 blue, shape (N,). It acts on
            that as late as on what it sees, so `most_locked` covers both.
        episode: Episode of each observation, shape (N,).
        tick: Its tick t0: the observation was taken at most `STALEST` samples before row t0 acts, shape (N,).
        most_locked: Longest prefix that may be locked from t0 on (see `longest_honest_delay`), shape (N,).
        rows: Executed rows, shape (E, R, n), [rad]; row 0 of an episode is where it stood, tick k executed row k + 1.
    """

    images: NDArray[np.uint8]
    q: NDArray[np.float64]
    goal: NDArray[np.float64]
    followed: NDArray[np.int64]
    episode: NDArray[np.int64]
    tick: NDArray[np.int64]
    most_locked: NDArray[np.int64]
    rows: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write one .npz file, plain arrays only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Demonstrations:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{field.name: archive[field.name] for field in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[Demonstrations]) -> Demonstrations:
        """All episodes of several recordings."""
        offsets = np.cumsum([0, *(len(part.rows) for part in parts[:-1])])
        arrays = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        arrays["episode"] = np.concatenate([part.episode + off for part, off in zip(parts, offsets, strict=True)])
        return cls(**arrays)


class Recorder:
    """Plays episodes in the simulator and records them.

    Args:
        spec: The robot.
        camera: Camera to record.
        size: Edge of the recorded images, in pixels.
        max_delay: Longest prefix that training will lock.
    """

    def __init__(self, spec: EmbodimentSpec, camera: str, size: int, max_delay: int) -> None:
        self._spec, self._size, self._max_delay = spec, size, max_delay
        self._expert = Expert(spec)
        self._renderer = CameraRenderer(Twin(spec).model, camera)

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
        ages = reaction_times(random, TICKS)
        told = _instructions(random)
        lighting = MILD.draw(random)
        goals = self._goals(twin, ages, told)
        executed, seen = self._play(twin, start, goals, row_noise(random, TICKS, start.size), random)
        times = np.array([snapshot.time for snapshot, _ in seen])
        ticks = np.arange(TICKS)
        return Demonstrations(
            images=np.stack([fit_image(self._renderer.render(snapshot, lighting), self._size) for snapshot, _ in seen]),
            q=np.stack([q for _, q in seen]),
            goal=np.stack([twin.task.goal(block, times) for block in BLOCKS], axis=1),
            followed=told,
            episode=np.zeros(TICKS, dtype=np.int64),
            tick=ticks,
            most_locked=np.array([longest_honest_delay(ages, int(tick), self._max_delay) for tick in ticks]),
            rows=executed[None],
        )

    def _goals(self, twin: Twin, ages: NDArray[np.int64], told: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the demonstrator aims at in each tick, shape (ticks, n), [rad].

        The block that it was told to follow a while ago, where it was then.
        """
        ticks = np.arange(len(ages))
        times = np.maximum(0.0, twin.time + (ticks - ages) / self._spec.action_hz)
        goals = np.stack([twin.task.goal(block, times) for block in BLOCKS])
        late: NDArray[np.float64] = goals[told[np.maximum(0, ticks - ages)], ticks]
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
        lower, upper = self._spec.limits.lower, self._spec.limits.upper
        rows = [start, start, start]
        history = [(twin.snapshot(), twin.q)]
        seen = []
        for tick in range(len(goals)):
            seen.append(history[max(0, tick * samples - int(random.integers(0, STALEST + 1)))])
            rows.append(np.clip(self._expert.next_row(rows[-1], goals[tick]) + noise[tick], lower, upper))
            for _ in run_tick(twin, np.stack(rows[-3:])):
                history.append((twin.snapshot(), twin.q))
        return np.stack(rows[2:]), seen

    def _start(self, random: np.random.Generator, twin: Twin) -> NDArray[np.float64]:
        """Over a random point, at a random height, each joint somewhat off; now and then the rest pose."""
        limits = self._spec.limits
        if random.random() < 0.15:
            return self._spec.rest.copy()
        point = np.array([random.uniform(*REGION_X), random.uniform(*REGION_Y), random.uniform(0.06, 0.20)])
        q = twin.task.solver.solve(point) + random.normal(0.0, 0.12, limits.size)
        q[self._spec.joint_index("gripper")] = random.uniform(limits.lower, limits.upper)[-1]
        return np.clip(q, limits.lower, limits.upper)


def _instructions(random: np.random.Generator) -> NDArray[np.int64]:
    """Which block the demonstrator is told to follow in each tick, shape (TICKS,)."""
    told = np.full(TICKS, random.integers(len(BLOCKS)), dtype=np.int64)
    if random.random() < SWITCH_PROBABILITY:
        told[random.integers(TICKS // 8, TICKS) :] = 1 - told[0]
    return told
