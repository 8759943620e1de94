"""The sections of the benchmark: which cases, which targets, which tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.ik_cases import ARMS, HAND_NAMES, PAIRS, Case, hand_case
from unichunk.benchmarks.ik_hands import beside_targets, human_targets
from unichunk.benchmarks.ik_measure import measure_following, measure_reaching
from unichunk.benchmarks.ik_peers import solvers
from unichunk.benchmarks.ik_problem import Problem, Tolerance
from unichunk.benchmarks.ik_singular import line_through_singularity, through_singularity
from unichunk.benchmarks.ik_solver import Ours
from unichunk.benchmarks.ik_summary import summaries
from unichunk.benchmarks.ik_targets import FAST_HZ, SMOOTH_HZ, generator, reachable_targets, wavy_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_measure import Record
    from unichunk.benchmarks.ik_targets import Path

TOLERANCE: Final = Tolerance(1e-3, 1e-2)
FINE_TOLERANCE: Final = Tolerance(1e-5, 1e-5)
RATES_HZ: Final = (20, 50)
LONG_CHUNKS: Final = 10

ATTEMPTS: Final = 64
"""Starts of ours at most, the solver's own default."""

RETARGETING_ATTEMPTS: Final = 4
"""Starts of everybody where targets are out of reach on purpose, as in hand retargeting."""

FEWER_PATHS: Final = 4
"""Paths that take long to measure, of many chunks or with rows out of reach, are so many times fewer."""

FEWER: Final = 10
"""Hands get a tenth of the targets that arms get."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        robots: Which; none: all.
        targets: For us.
        peer_targets: For the others.
        paths: For us.
        peer_paths: For the others.
        seconds: Time of the others for a target, [s].
    """

    robots: tuple[str, ...]
    targets: int
    peer_targets: int
    paths: int
    peer_paths: int
    seconds: float

    def problems(self, cases: Sequence[Case]) -> Iterator[Problem]:
        """Those of the cases that are asked for, made one by one."""
        return (Problem(case) for case in cases if not self.robots or case.robot in self.robots)

    def with_fewer_paths(self) -> Plan:
        """The same with a part of the paths."""
        return replace(self, paths=-(-self.paths // FEWER_PATHS), peer_paths=-(-self.peer_paths // FEWER_PATHS))

    def reach(self, problem: Problem, targets: NDArray[np.float64], tolerance: Tolerance) -> list[Record]:
        """Every target from the middle of the range."""
        contenders = solvers(problem, tolerance, attempts=ATTEMPTS, seconds=self.seconds, peers=self.peer_targets > 0)
        return measure_reaching(problem, contenders, targets, tolerance, self.peer_targets)

    def retarget(self, problem: Problem, targets: NDArray[np.float64]) -> list[Record]:
        """Targets that may be out of reach, from the middle of the range: nobody looks for long."""
        contenders = solvers(
            problem,
            TOLERANCE,
            attempts=RETARGETING_ATTEMPTS,
            seconds=self.seconds,
            peers=self.peer_targets > 0,
            peer_attempts=RETARGETING_ATTEMPTS,
        )
        return measure_reaching(problem, contenders, targets, TOLERANCE, self.peer_targets)

    def follow(self, problem: Problem, paths: Sequence[Path]) -> list[Record]:
        """Every path, row by row."""
        contenders = solvers(problem, TOLERANCE, attempts=ATTEMPTS, seconds=self.seconds, peers=self.peer_paths > 0)
        return measure_following(problem, contenders, paths, TOLERANCE, self.peer_paths)

    def draw(
        self, problem: Problem, what: str, path: Callable[[Problem, np.random.Generator, float], Path], hz: int
    ) -> list[Path]:
        """Paths of a kind."""
        rng = generator(problem, f"{what}, {hz} Hz")
        return [path(problem, rng, 1.0 / hz) for _ in range(self.paths)]


@dataclass(frozen=True)
class Section:
    """A section: its table's title, and what measures it."""

    title: str
    measure: Callable[[Plan], list[dict[str, Any]]]


def measure_reach(plan: Plan) -> list[dict[str, Any]]:
    """One target at a time, from the middle of the range, at two tolerances."""
    found = []
    for problem in plan.problems(ARMS):
        targets = reachable_targets(problem, plan.targets)
        for tolerance in (TOLERANCE, FINE_TOLERANCE):
            records = plan.reach(problem, targets, tolerance)
            found.append(_measurement(problem, f"{tolerance.position:g} m, {tolerance.rotation:g} rad", records))
    return found


def measure_follow(plan: Plan) -> list[dict[str, Any]]:
    """Chunks that can be followed."""
    found = []
    for problem in plan.problems((*ARMS, *PAIRS)):
        for hz in RATES_HZ:
            for what, band_hz in (("smooth", SMOOTH_HZ), ("fast", FAST_HZ)):
                paths = plan.draw(problem, what, partial(wavy_path, chunks=1, band_hz=band_hz), hz)
                found.append(_measurement(problem, f"{what}, {hz} Hz", plan.follow(problem, paths)))
    return found


def measure_long(plan: Plan) -> list[dict[str, Any]]:
    """Chunks on end: can be followed to the end by who is not led astray."""
    found, fewer = [], plan.with_fewer_paths()
    for problem in plan.problems((*ARMS, *PAIRS)):
        hz = RATES_HZ[0]
        paths = fewer.draw(problem, "long", partial(wavy_path, chunks=LONG_CHUNKS, band_hz=SMOOTH_HZ), hz)
        found.append(_measurement(problem, f"{LONG_CHUNKS} chunks, {hz} Hz", fewer.follow(problem, paths)))
    return found


def measure_singular(plan: Plan) -> list[dict[str, Any]]:
    """Through singular configurations: on paths of the joints, and on lines of arms with six joints or more."""
    found, fewer = [], plan.with_fewer_paths()
    hz = RATES_HZ[0]
    for problem in plan.problems(ARMS):
        paths = plan.draw(problem, "singular", through_singularity, hz)
        found.append(_measurement(problem, f"joint path, {hz} Hz", plan.follow(problem, paths)))
        if len(problem.columns) >= 6:
            paths = fewer.draw(problem, "line", line_through_singularity, hz)
            reachable = np.concatenate([_reachable(problem, path) for path in paths])
            records = fewer.follow(problem, paths)
            found.append(_measurement(problem, f"line, {hz} Hz", records, reachable))
    return found


def measure_fingertips(plan: Plan) -> list[dict[str, Any]]:
    """Fingertips of hands: where the hand can have them, beside that, and where a human hand has them."""
    found = []
    for problem in plan.problems([hand_case(name) for name in HAND_NAMES]):
        count = -(-plan.targets // FEWER)
        records = plan.reach(problem, reachable_targets(problem, count), TOLERANCE)
        found.append(_measurement(problem, "reachable", records))
        for what, targets in (
            ("1 to 2 cm beside", beside_targets(problem, count)),
            ("human hand", human_targets(problem, count)),
        ):
            found.append(_measurement(problem, what, plan.retarget(problem, targets)))
        hz = RATES_HZ[0]
        paths = plan.draw(problem, "smooth", partial(wavy_path, chunks=1, band_hz=SMOOTH_HZ), hz)
        found.append(_measurement(problem, f"smooth, {hz} Hz", plan.follow(problem, paths)))
    return found


SECTIONS: Final = {
    "reach": Section("One target, from the middle of the range", measure_reach),
    "follow": Section("Chunks of 16 rows; times per row", measure_follow),
    "long": Section("Chunks on end; times per row", measure_long),
    "singular": Section(
        "Through singular configurations; times per row; of the rows that can be reached", measure_singular
    ),
    "fingertips": Section("Five fingertips", measure_fingertips),
}


def _reachable(problem: Problem, path: Path) -> NDArray[np.bool_]:
    """Which rows can be reached, no matter how fast, shape (C * T,)."""
    search = Ours(problem, TOLERANCE, ATTEMPTS)
    targets = path.targets.reshape(-1, *path.targets.shape[2:])
    answers = [search.reach(target, path.q_start).q[0] for target in targets]
    return np.array([problem.judge(q, target, TOLERANCE).solved for q, target in zip(answers, targets, strict=True)])


def _measurement(
    problem: Problem, what: str, records: Sequence[Record], reachable: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    return {"case": problem.case.name, "what": what, "solvers": summaries(records, reachable)}
