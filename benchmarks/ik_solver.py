"""What the benchmark asks of a solver, and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from unichunk.kinematics.inverse.inverse_kinematics import InverseKinematics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem, Tolerance


@dataclass(frozen=True)
class Answer:
    """What a solver says.

    Attributes:
        q: Joint positions, shape (T, nq), [rad], in the order of the case's whole model.
        claims: Which rows it says are within tolerance, shape (T,).
    """

    q: NDArray[np.float64]
    claims: NDArray[np.bool_]


class Solver(Protocol):
    """Finds joints for frames."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def reach(self, targets: NDArray[np.float64], q_start: NDArray[np.float64]) -> Answer:
        """One row, from anywhere.

        Args:
            targets: Shape (F, 4, 4), [m].
            q_start: Shape (nq,), [rad].
        """

    def follow(self, targets: NDArray[np.float64], q_start: NDArray[np.float64], dt: float) -> Answer:
        """Rows, each within the velocity limits of the one before.

        Args:
            targets: Shape (T, F, 4, 4), [m].
            q_start: Where the joints are before the first row, shape (nq,), [rad].
            dt: Time between rows and before the first one, [s].
        """


class Ours:
    """`unichunk.kinematics.InverseKinematics`.

    Args:
        problem: The case.
        tolerance: What counts as reached.
        attempts: Starting configurations tried at most.
    """

    name = "unichunk"

    def __init__(self, problem: Problem, tolerance: Tolerance, attempts: int) -> None:
        self._kinematics = InverseKinematics(
            problem.model,
            problem.case.goals,
            joints=problem.joints,
            position_tolerance=tolerance.position,
            rotation_tolerance=tolerance.rotation,
            attempts=attempts,
        )

    def reach(self, targets: NDArray[np.float64], q_start: NDArray[np.float64]) -> Answer:
        """One row, from anywhere."""
        solution = self._kinematics.solve(targets[None], q_start)
        return Answer(solution.q, solution.converged)

    def follow(self, targets: NDArray[np.float64], q_start: NDArray[np.float64], dt: float) -> Answer:
        """Rows, each within the velocity limits of the one before."""
        solution = self._kinematics.solve(targets, q_start, dt=dt)
        return Answer(solution.q, solution.converged)
