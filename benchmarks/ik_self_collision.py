"""What the distance of a robot from itself costs per row."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.self_collision import SelfCollision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CHUNKS: Final = 100
ROWS: Final = 16
CALM: Final = 0.3
"""Configurations are drawn from the middle of this part of the range, and of all of it."""


def measure_self_collision(robots: Sequence[str]) -> list[dict[str, Any]]:
    """Microseconds per row of every robot that has pairs of links to watch.

    Args:
        robots: Which ones; none: all.
    """
    names = [name for name in robot_names() if not robots or name in robots]
    return [_measure(name) for name in names if robot_description(name).self_collision]


def _measure(name: str) -> dict[str, Any]:
    collision, rng = SelfCollision(name), np.random.default_rng(0)
    lower, upper = collision.model.lowerPositionLimit, collision.model.upperPositionLimit
    middle, half = 0.5 * (lower + upper), 0.5 * (upper - lower)
    entry: dict[str, Any] = {"robot": name, "pairs": len(collision.pairs)}
    for what, part in (("calm", CALM), ("anywhere", 1.0)):
        q = middle + part * half * rng.uniform(-1.0, 1.0, (CHUNKS, ROWS, len(middle)))
        entry[what] = _microseconds_per_row(collision, q)
    return entry


def _microseconds_per_row(collision: SelfCollision, chunks: NDArray[np.float64]) -> dict[str, float]:
    collision.distances(chunks[0])
    wall, cpu = [], []
    for q in chunks:
        begun, computed = time.perf_counter_ns(), time.thread_time_ns()
        collision.distances(q)
        cpu.append((time.thread_time_ns() - computed) / len(q) / 1e3)
        wall.append((time.perf_counter_ns() - begun) / len(q) / 1e3)
    return {
        "median_us": float(np.median(wall)),
        "p99_us": float(np.percentile(wall, 99)),
        "cpu_median_us": float(np.median(cpu)),
    }


def print_self_collision(entries: Sequence[dict[str, Any]]) -> None:
    """A line per robot."""
    if not entries:
        print("self-collision: no robot here has pairs of links to watch")
    for entry in entries:
        anywhere, calm = entry["anywhere"], entry["calm"]
        print(
            f"self-collision {entry['robot']}: {entry['pairs']} pairs, {calm['median_us']:.0f} us a row near the "
            f"middle, {anywhere['median_us']:.0f} us anywhere (p99 {anywhere['p99_us']:.0f})"
        )
