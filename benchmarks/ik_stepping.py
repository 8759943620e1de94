"""Solvers that are given as single steps: repeated until the targets are reached, from new starts if need be."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from unichunk.benchmarks.ik_solver import Answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem, Tolerance


@dataclass(frozen=True)
class Settings:
    """How a step is repeated, and its parameters.

    Attributes:
        attempts: Starts at most for a target: the given one, then random ones.
        steps: Steps of one attempt at most.
        row_steps: Steps of one row of a chunk at most.
        seconds: No step begins later than this after the call, [s].
        orientation_cost: What a radian counts for, [m].
        gain: Part of the error that a step aims to remove.
        lm_damping: Damping per squared error.
        damping: Damping that is always there.
    """

    attempts: int
    steps: int
    row_steps: int
    seconds: float
    orientation_cost: float
    gain: float
    lm_damping: float
    damping: float


class Stepper(Protocol):
    """One robot and its targets, and a step towards them. Joints are those that may move, in the problem's order."""

    def aim(self, targets: NDArray[np.float64]) -> None:
        """Set the targets, shape (F, 4, 4), [m]."""

    def place(self, x: NDArray[np.float64]) -> None:
        """Put the joints somewhere, shape (n,), [rad]."""

    def joints(self) -> NDArray[np.float64]:
        """Where the joints are, shape (n,), [rad]."""

    def errors(self) -> tuple[float, float]:
        """Largest distance from a target, [m], and largest angle, [rad]."""

    def step(self, box: tuple[NDArray[np.float64], NDArray[np.float64]]) -> bool:
        """One step that stays between two bounds of the joints, each shape (n,); whether there was one."""


class SteppingSolver:
    """Repeats a stepper's steps: a `Solver`.

    Args:
        name: What it is called in tables.
        stepper: Takes the steps.
        problem: The case.
        tolerance: What counts as reached.
        settings: How often.
    """

    def __init__(self, name: str, stepper: Stepper, problem: Problem, tolerance: Tolerance, settings: Settings) -> None:
        self._name, self._stepper, self._problem = name, stepper, problem
        self._tolerance, self._settings = tolerance, settings
        self._random = np.random.default_rng(0)

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return self._name

    def reach(self, targets: NDArray[np.float64], q_start: NDArray[np.float64]) -> Answer:
        """One row, from anywhere."""
        problem, stepper, settings = self._problem, self._stepper, self._settings
        deadline = time.perf_counter() + settings.seconds
        box = problem.lower, problem.upper
        stepper.aim(targets)
        x, best, best_error = q_start[problem.columns], q_start[problem.columns], np.inf
        for _ in range(settings.attempts):
            stepper.place(x)
            x, error = self._descend(box, settings.steps, deadline)
            if error < best_error:
                best, best_error = x, error
            if best_error <= 1.0 or time.perf_counter() >= deadline:
                break
            x = self._random.uniform(*box)
        return Answer(problem.whole(best)[None], np.array([best_error <= 1.0]))

    def follow(self, targets: NDArray[np.float64], q_start: NDArray[np.float64], dt: float) -> Answer:
        """Rows, each within the velocity limits of the one before."""
        problem, stepper = self._problem, self._stepper
        reach = problem.velocity * dt
        x = q_start[problem.columns]
        rows, claims = np.tile(problem.start, (len(targets), 1)), np.zeros(len(targets), dtype=np.bool_)
        stepper.place(x)
        for row, target in enumerate(targets):
            stepper.aim(target)
            box = np.maximum(problem.lower, x - reach), np.minimum(problem.upper, x + reach)
            x, error = self._descend(box, self._settings.row_steps, np.inf)
            rows[row, problem.columns], claims[row] = x, error <= 1.0
        return Answer(rows, claims)

    def _descend(
        self, box: tuple[NDArray[np.float64], NDArray[np.float64]], steps: int, deadline: float
    ) -> tuple[NDArray[np.float64], float]:
        """The best configuration on the way, and its error in tolerances."""
        stepper = self._stepper
        best, best_error = stepper.joints(), self._error()
        for _ in range(steps):
            if best_error <= 1.0 or time.perf_counter() >= deadline or not stepper.step(box):
                break
            error = self._error()
            if error < best_error:
                best, best_error = stepper.joints(), error
        else:
            # The best may not be the last one; the next row starts from it.
            stepper.place(best)
        return best, best_error

    def _error(self) -> float:
        distance, angle = self._stepper.errors()
        return max(distance / self._tolerance.position, angle / self._tolerance.rotation)
