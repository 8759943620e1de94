"""Measuring solvers target by target: each target goes to all of them in turn before the next one is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem, Tolerance
    from unichunk.benchmarks.ik_solver import Answer, Solver
    from unichunk.benchmarks.ik_targets import Path


@dataclass
class Record:
    """What one solver did. Lists have one entry per call, except where told.

    Attributes:
        solver: Its name.
        wall_ns: Time of each call per row, [ns].
        cpu_ns: Time that the thread computed, likewise, [ns].
        solved: Whether the judge agrees, one per row.
        claims: Whether the solver says so, one per row.
        distance: Largest distance of a frame from its target, one per row, [m].
        step: Largest step of a joint over its velocity limit, one per row; without a limit there are none.
    """

    solver: str
    wall_ns: list[float] = field(default_factory=list)
    cpu_ns: list[float] = field(default_factory=list)
    solved: list[bool] = field(default_factory=list)
    claims: list[bool] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)

    def time(self, call: Callable[[], Answer]) -> Answer:
        """Call and keep the times."""
        begun, computed = time.perf_counter_ns(), time.thread_time_ns()
        answer = call()
        cpu, wall = time.thread_time_ns() - computed, time.perf_counter_ns() - begun
        self.wall_ns.append(wall / len(answer.q))
        self.cpu_ns.append(cpu / len(answer.q))
        return answer

    def judge(self, problem: Problem, answer: Answer, targets: NDArray[np.float64], tolerance: Tolerance) -> None:
        """Keep what the rows are worth; targets are of shape (T, F, 4, 4)."""
        for q, target in zip(answer.q, targets, strict=True):
            verdict = problem.judge(q, target, tolerance)
            self.solved.append(verdict.solved)
            self.distance.append(float(verdict.position_error.max()))
        self.claims += answer.claims.tolist()


def measure_reaching(
    problem: Problem,
    solvers: Sequence[Solver],
    targets: NDArray[np.float64],
    tolerance: Tolerance,
    peer_targets: int,
) -> list[Record]:
    """Every target from the middle of the range.

    Args:
        problem: The case.
        solvers: Ours first; the others get only the first targets.
        targets: Shape (N, F, 4, 4), [m].
        tolerance: What the judge accepts.
        peer_targets: How many the others get.
    """
    _warm_up(problem, solvers)
    records = [Record(solver.name) for solver in solvers]
    for number, target in enumerate(targets):
        for solver, record in _in_turn(solvers[: None if number < peer_targets else 1], records, number):
            answer = record.time(partial(solver.reach, target, problem.start))
            record.judge(problem, answer, target[None], tolerance)
    return records


def measure_following(
    problem: Problem, solvers: Sequence[Solver], paths: Sequence[Path], tolerance: Tolerance, peer_paths: int
) -> list[Record]:
    """Every path, chunk by chunk, each chunk from where the solver's own last one ended.

    Args:
        problem: The case.
        solvers: Ours first; the others get only the first paths.
        paths: The paths.
        tolerance: What the judge accepts.
        peer_paths: How many the others get.
    """
    _warm_up(problem, solvers)
    records = [Record(solver.name) for solver in solvers]
    for number, path in enumerate(paths):
        for solver, record in _in_turn(solvers[: None if number < peer_paths else 1], records, number):
            _follow(problem, solver, record, path, tolerance)
    return records


def _follow(problem: Problem, solver: Solver, record: Record, path: Path, tolerance: Tolerance) -> None:
    q = path.q_start
    reach = problem.velocity * path.dt
    for targets in path.targets:
        answer = record.time(partial(solver.follow, targets, q, path.dt))
        record.judge(problem, answer, targets, tolerance)
        steps = np.diff(answer.q, axis=0, prepend=q[None])[:, problem.columns]
        record.step += (np.abs(steps) / reach).max(axis=1).tolist()
        q = answer.q[-1]


def _in_turn(solvers: Sequence[Solver], records: Sequence[Record], number: int) -> list[tuple[Solver, Record]]:
    """Solvers with their records; another one begins each time."""
    pairs = list(zip(solvers, records, strict=False))
    first = number % len(pairs)
    return pairs[first:] + pairs[:first]


def _warm_up(problem: Problem, solvers: Sequence[Solver]) -> None:
    """What is made on first use is made now: by us, a table of starts once a target is out of reach."""
    near, far = problem.poses(problem.start), problem.poses(problem.start)
    far[:, :3, 3] += 10.0
    solvers[0].reach(far, problem.start)
    for solver in solvers:
        solver.reach(near, problem.start)
        solver.follow(near[None], problem.start, 0.05)
