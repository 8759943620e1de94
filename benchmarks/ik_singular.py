"""Paths through singular configurations: where a frame cannot be moved in every direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.benchmarks.ik_targets import OF_VELOCITY, ROWS, Path, path_through

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem

SWEEPS: Final = 6
POINTS: Final = 9
"""Each sweep looks at so many positions of each joint, in a range a fourth as wide as in the sweep before."""

SPEED: Final = 1.0
"""Joints pass a singular configuration at this speed at most, [rad/s]."""

ASIDE: Final = 0.6
"""Straight lines begin with joints this far from the singular configuration at most, [rad]."""

LINE_CHUNKS: Final = 2


def singular_configuration(problem: Problem, rng: np.random.Generator) -> NDArray[np.float64]:
    """The most singular configuration near a random one, of the joints that may move, shape (n,), [rad]."""
    x: NDArray[np.float64] = rng.uniform(problem.lower, problem.upper)
    width = problem.upper - problem.lower
    for _ in range(SWEEPS):
        for joint in range(len(x)):
            x[joint] = _most_singular(problem, x, joint, width[joint])
        width /= 4.0
    return x


def _most_singular(problem: Problem, x: NDArray[np.float64], joint: int, width: float) -> float:
    around = x[joint] + np.linspace(-0.5, 0.5, POINTS) * width
    candidates = np.tile(x, (POINTS, 1))
    candidates[:, joint] = np.clip(around, problem.lower[joint], problem.upper[joint])
    stretches = [problem.smallest_stretch(problem.whole(candidate)) for candidate in candidates]
    return float(candidates[np.argmin(stretches), joint])


def through_singularity(problem: Problem, rng: np.random.Generator, dt: float) -> Path:
    """A straight path of the joints with a singular configuration in the middle: every row can be reached in time."""
    singular = singular_configuration(problem, rng)
    speed = rng.uniform(-1.0, 1.0, len(singular)) * np.minimum(SPEED, OF_VELOCITY * problem.velocity)
    times = dt * (np.arange(1 + ROWS)[:, None] - ROWS // 2)
    return path_through(problem, np.clip(singular + speed * times, problem.lower, problem.upper), dt)


def line_through_singularity(problem: Problem, rng: np.random.Generator, dt: float) -> Path:
    """A straight path of the first frame that reaches a singular configuration half way, and goes on likewise.

    What comes after may be out of reach, or within it only after a jump. The other frames stay.
    """
    singular = singular_configuration(problem, rng)
    aside = singular + rng.uniform(-ASIDE, ASIDE, len(singular))
    start = problem.whole(np.clip(aside, problem.lower, problem.upper))
    begin, middle = problem.poses(start), problem.poses(problem.whole(singular))
    twist = pin.log6(pin.SE3(begin[0]).actInv(pin.SE3(middle[0])))
    rows = LINE_CHUNKS * ROWS
    targets = np.tile(begin, (rows, 1, 1, 1))
    for row in range(rows):
        part = 2.0 * (row + 1) / rows
        targets[row, 0] = (pin.SE3(begin[0]) * pin.exp6(part * twist)).homogeneous
    return Path(targets.reshape(LINE_CHUNKS, ROWS, *begin.shape), start, dt)
