"""Targets for inverse kinematics that can be reached: wherever forward kinematics has been."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem

ROWS: Final = 16
"""Rows of a chunk."""

OF_VELOCITY: Final = 0.8
"""No joint of a path moves faster than this part of its velocity limit."""

WAVES: Final = 3
"""Sinusoids of a joint's path."""

SMOOTH_HZ: Final = (0.1, 0.5)
FAST_HZ: Final = (0.5, 2.0)
"""Their frequencies, before joints that would be too fast are slowed down, [Hz]."""


@dataclass(frozen=True)
class Path:
    """Targets over time.

    Attributes:
        targets: Chunks of rows, shape (C, T, F, 4, 4), [m].
        q_start: Where the joints are before the first row, shape (nq,), [rad].
        dt: Time between rows, [s].
    """

    targets: NDArray[np.float64]
    q_start: NDArray[np.float64]
    dt: float


def generator(problem: Problem, what: str) -> np.random.Generator:
    """Random numbers that depend on the case and what they are for, and on nothing else."""
    return np.random.default_rng(zlib.crc32(f"{problem.case.name}, {what}".encode()))


def reachable_targets(problem: Problem, count: int) -> NDArray[np.float64]:
    """Poses at configurations uniform within the limits, shape (count, F, 4, 4), [m]."""
    rng = generator(problem, "reachable targets")
    return np.stack([problem.poses(problem.random(rng)) for _ in range(count)])


def path_through(problem: Problem, x: NDArray[np.float64], dt: float) -> Path:
    """The frames' path of a path of joints.

    Args:
        problem: The case.
        x: Joints that may move, shape (1 + C * ROWS, n), [rad]: the start, then the rows.
        dt: Time between rows, [s].
    """
    configurations = [problem.whole(row) for row in x]
    targets = np.stack([problem.poses(q) for q in configurations[1:]])
    return Path(targets.reshape(-1, ROWS, *targets.shape[1:]), configurations[0], dt)


def wavy_path(problem: Problem, rng: np.random.Generator, dt: float, chunks: int, band_hz: tuple[float, float]) -> Path:
    """The frames' path of `wavy_joints`."""
    return path_through(problem, wavy_joints(problem, rng, dt, chunks, band_hz), dt)


def wavy_joints(
    problem: Problem, rng: np.random.Generator, dt: float, chunks: int, band_hz: tuple[float, float]
) -> NDArray[np.float64]:
    """Sums of sinusoids, anywhere within the limits of position and velocity.

    Args:
        problem: The case.
        rng: Draws the path.
        dt: Time between rows, [s].
        chunks: C.
        band_hz: Lowest and highest frequency, [Hz].

    Returns:
        Joints that may move, shape (1 + C * ROWS, n), [rad].
    """
    joints = len(problem.columns)
    weights = rng.dirichlet(np.ones(WAVES), joints)
    phases = rng.uniform(0.0, 2.0 * np.pi, (joints, WAVES))
    speeds = 2.0 * np.pi * rng.uniform(*band_hz, (joints, WAVES))
    amplitude = 0.5 * (problem.upper - problem.lower) * rng.uniform(0.2, 1.0, joints)
    centre = rng.uniform(problem.lower + amplitude, problem.upper - amplitude)
    fastest = amplitude * (weights * speeds).sum(axis=1)
    speeds *= np.minimum(1.0, OF_VELOCITY * problem.velocity / fastest)[:, None]
    times = dt * np.arange(1 + chunks * ROWS)[:, None, None]
    waves: NDArray[np.float64] = centre + amplitude * (weights * np.sin(speeds * times + phases)).sum(axis=-1)
    return waves
