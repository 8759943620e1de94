"""The benchmark of inverse kinematics: what it counts, that it takes nobody's word, and that its paths are fair."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from unichunk.benchmarks import ik_peers
from unichunk.benchmarks.ik import Options, complaints, measure, ratios, short
from unichunk.benchmarks.ik_cases import ARMS, HAND_NAMES, PAIRS, Case, hand_case
from unichunk.benchmarks.ik_measure import measure_following, measure_reaching
from unichunk.benchmarks.ik_peers import solvers
from unichunk.benchmarks.ik_problem import Problem, Tolerance
from unichunk.benchmarks.ik_singular import line_through_singularity, singular_configuration, through_singularity
from unichunk.benchmarks.ik_solver import Answer
from unichunk.benchmarks.ik_summary import summaries
from unichunk.benchmarks.ik_targets import FAST_HZ, OF_VELOCITY, ROWS, path_through, reachable_targets, wavy_joints

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = Tolerance(1e-3, 1e-2)
FR3, G1_LEFT = ARMS[0], ARMS[1]
INSTALLED = {name for name in ("pink", "mink") if find_spec(name) and find_spec("daqp")}


class Scripted:
    """Answers the same configuration to everything."""

    name = "scripted"

    def __init__(self, q: NDArray[np.float64], *, claims: bool) -> None:
        self.q, self.claims = q, claims

    def reach(self, targets: NDArray[np.float64], q_start: NDArray[np.float64]) -> Answer:
        return Answer(self.q[None], np.array([self.claims]))

    def follow(self, targets: NDArray[np.float64], q_start: NDArray[np.float64], dt: float) -> Answer:
        return Answer(np.tile(self.q, (len(targets), 1)), np.full(len(targets), self.claims))


def reached(problem: Problem, solver: Scripted, targets: NDArray[np.float64]) -> dict[str, Any]:
    return summaries(measure_reaching(problem, [solver], targets, TOLERANCE, 0))[0]


def within(problem: Problem) -> NDArray[np.float64]:
    return problem.random(np.random.default_rng(1))


def test_a_solver_that_lies_has_solved_nothing() -> None:
    problem = Problem(FR3)
    result = reached(problem, Scripted(within(problem), claims=True), reachable_targets(problem, 3))
    assert (result["rows"], result["solved"], result["claimed_but_not_solved"]) == (3, 0.0, 3)
    assert result["not_solved"] == [0, 1, 2]


def test_a_solver_that_is_too_modest_has_solved_it() -> None:
    problem = Problem(FR3)
    q = within(problem)
    result = reached(problem, Scripted(q, claims=False), problem.poses(q)[None])
    assert (result["solved"], result["solved_but_not_claimed"], result["not_solved"]) == (1.0, 1, [])


@pytest.mark.parametrize("beyond", [1e-4, -10.0])
def test_targets_reached_beyond_the_limits_are_not_solved(beyond: float) -> None:
    problem = Problem(FR3)
    x = within(problem)[problem.columns]
    x[3] = problem.upper[3] + beyond if beyond > 0 else problem.lower[3] + beyond
    q = problem.whole(x)
    assert reached(problem, Scripted(q, claims=True), problem.poses(q)[None])["solved"] == 0.0


def test_joints_that_may_not_move_must_not() -> None:
    problem = Problem(G1_LEFT)
    q = within(problem)
    q[problem.model.joints[problem.model.getJointId("waist_yaw_joint")].idx_q] = 0.2
    assert reached(problem, Scripted(q, claims=True), problem.poses(q)[None])["solved"] == 0.0


@pytest.mark.parametrize(
    ("moved", "turned", "solved"),
    [(0.9e-3, 0.9e-2, True), (1.1e-3, 0.0, False), (0.0, 1.1e-2, False), (0.0, np.pi, False)],
)
def test_the_tolerances_are_kept_to(moved: float, turned: float, solved: bool) -> None:
    problem = Problem(FR3)
    q = within(problem)
    targets = problem.poses(q)
    c, s = np.cos(turned), np.sin(turned)
    targets[0, :3, :3] = targets[0, :3, :3] @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    targets[0, 1, 3] += moved
    verdict = problem.judge(q, targets, TOLERANCE)
    assert verdict.solved is solved
    np.testing.assert_allclose(verdict.position_error, moved, atol=1e-12)
    np.testing.assert_allclose(verdict.rotation_error, turned, atol=1e-7)


def test_a_fingertip_may_point_anywhere() -> None:
    problem = Problem(hand_case("sharpa_wave_right"))
    q = within(problem)
    targets = problem.poses(q)
    targets[:, :3, :3] = np.diag([1.0, -1.0, -1.0])
    assert problem.judge(q, targets, TOLERANCE).solved


def test_a_jump_shows_in_the_steps() -> None:
    problem = Problem(FR3)
    x = np.tile(problem.start[problem.columns], (1 + 2 * ROWS, 1))
    path = path_through(problem, x, 0.1)
    jumped = problem.start.copy()
    jumped[1] += 3.0 * 0.1 * problem.velocity[1]
    (record,) = measure_following(problem, [Scripted(jumped, claims=True)], [path], TOLERANCE, 0)
    assert len(record.step) == len(record.solved) == 2 * ROWS
    assert len(record.wall_ns) == len(record.cpu_ns) == 2
    np.testing.assert_allclose(record.step, [3.0, *[0.0] * (2 * ROWS - 1)], atol=1e-9)
    assert not any(record.solved)
    (summary,) = summaries([record])
    assert (summary["largest_step_over_limit"], summary["rows_too_fast"]) == (3.0, 1)


@pytest.mark.parametrize("case", [*ARMS, *PAIRS, *map(hand_case, HAND_NAMES)], ids=lambda case: case.name)
def test_wavy_paths_can_be_followed(case: Case) -> None:
    problem = Problem(case)
    dt, rng = 0.05, np.random.default_rng(2)
    for _ in range(5):
        x = wavy_joints(problem, rng, dt, 2, FAST_HZ)
        assert x.shape == (1 + 2 * ROWS, len(problem.columns))
        assert (x >= problem.lower).all()
        assert (x <= problem.upper).all()
        assert (np.abs(np.diff(x, axis=0)) <= OF_VELOCITY * problem.velocity * dt + 1e-12).all()


@pytest.mark.parametrize("case", [case for case in ARMS if case.name != "so101"], ids=lambda case: case.name)
def test_singular_configurations_are_singular(case: Case) -> None:
    problem = Problem(case)
    rng = np.random.default_rng(3)
    usual = np.median([problem.smallest_stretch(problem.random(rng)) for _ in range(50)])
    found = [problem.smallest_stretch(problem.whole(singular_configuration(problem, rng))) for _ in range(5)]
    assert np.median(found) < 0.02 * usual


def test_lines_pass_through_the_singular_configuration_half_way() -> None:
    problem = Problem(FR3)
    path = line_through_singularity(problem, np.random.default_rng(4), 0.05)
    singular = problem.poses(problem.whole(singular_configuration(problem, np.random.default_rng(4))))
    rows = path.targets.reshape(-1, 1, 4, 4)
    assert len(rows) == 2 * ROWS
    np.testing.assert_allclose(rows[ROWS - 1], singular, atol=1e-9)
    steps = [np.linalg.inv(one[0]) @ other[0] for one, other in pairwise([problem.poses(path.q_start), *rows])]
    np.testing.assert_allclose(steps, np.tile(steps[0], (len(steps), 1, 1)), atol=1e-9)


def test_paths_begin_where_they_say() -> None:
    problem = Problem(FR3)
    path = through_singularity(problem, np.random.default_rng(5), 0.05)
    first = path.targets[0, 0, 0, :3, 3]
    reach = 0.05 * (problem.velocity * OF_VELOCITY).max() * len(problem.columns)
    assert np.linalg.norm(first - problem.poses(path.q_start)[0, :3, 3]) < reach


@pytest.mark.parametrize("case", [FR3, G1_LEFT, PAIRS[2], hand_case("o6_right")], ids=lambda case: case.name)
def test_every_solver_finds_and_follows(case: Case) -> None:
    """That the others are given a fair chance: they find nearly everything, and what they say is true."""
    problem = Problem(case)
    contenders = solvers(problem, TOLERANCE, attempts=64, seconds=0.5)
    assert {solver.name for solver in contenders} == {"unichunk", "plain"} | INSTALLED
    records = measure_reaching(problem, contenders, reachable_targets(problem, 4), TOLERANCE, 4)
    for record in records:
        assert record.solved == record.claims
        if record.solver != "plain":
            assert all(record.solved), record.solver
    x = np.linspace(0.0, 0.1, 1 + ROWS)[:, None] * problem.velocity.clip(max=1.0) * 0.5
    path = path_through(problem, problem.start[problem.columns] + x, 0.1)
    for record in measure_following(problem, contenders, [path], TOLERANCE, 1):
        assert all(record.solved), record.solver
        assert max(record.step) <= 1.0 + 1e-6


def test_a_small_run_counts_right(capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(("d1", "o6_right"), targets=4, peer_targets=2, paths=2, peer_paths=1, seconds_per_target=0.01)
    result = msgspec.json.decode(msgspec.json.encode(measure(options)))
    others = sorted({"plain"} | INSTALLED)
    assert result["missing_peers"] == [name for name in ("pink", "mink") if name not in INSTALLED]
    for section, rows, peer_rows in (
        ("reach", 4, 2),
        ("follow", 2 * ROWS, ROWS),
        ("long", 10 * ROWS, 10 * ROWS),
        ("singular", None, None),
        ("fingertips", None, None),
    ):
        assert result[section], section
        for measurement in result[section]:
            ours, *peers = measurement["solvers"]
            assert ours["solver"] == "unichunk"
            assert sorted(entry["solver"] for entry in peers) == others
            assert rows is None or ours["rows"] == rows
            assert peer_rows is None or {entry["rows"] for entry in peers} == {peer_rows}
            assert ours["wall_over_ours"] == {"median": 1.0, "mean": 1.0, "p99": 1.0}
    assert [measurement["what"] for measurement in result["fingertips"]] == [
        "reachable",
        "1 to 2 cm beside",
        "human hand",
        "smooth, 20 Hz",
    ]
    assert "unichunk" in capsys.readouterr().out


def test_peers_that_are_not_installed_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ik_peers, "find_spec", lambda name: None)
    options = Options(("so101",), sections=("reach",), targets=1, peer_targets=1, seconds_per_target=0.01)
    result = measure(options)
    assert result["missing_peers"] == ["pink", "mink"]
    assert [entry["solver"] for entry in result["reach"][0]["solvers"]] == ["unichunk", "plain"]
    lines = capsys.readouterr().out.splitlines()
    assert sum("not installed, left out; pip install 'unichunk[bench]'" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(("fr4",)), ["'fr4'", "fr3"]),
        (Options(targets=0), ["--targets 0", "at least 1"]),
        (Options(peer_paths=-1), ["--peer-paths -1", "at least 0"]),
        (Options(seconds_per_target=float("nan")), ["--seconds-per-target nan", "positive"]),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(options: Options, words: list[str]) -> None:
    (complaint,) = complaints(options)
    assert "\n" not in complaint
    for word in words:
        assert word in complaint


def test_the_short_form_asks_for_no_more_than_was_asked_for() -> None:
    assert short(Options()) == Options(targets=100, peer_targets=20, paths=4, peer_paths=2)
    few = Options(targets=3, peer_targets=0, paths=2, peer_paths=1)
    assert short(few) == few


def test_ratios_are_to_our_time_on_the_same_targets() -> None:
    def row(section: str, theirs: float, over: float) -> dict[str, Any]:
        ours = {"solver": "unichunk", "wall_us": {"median": 7.0}, "wall_over_ours": {"median": 1.0}}
        other = {"solver": "pink", "wall_us": {"median": theirs}, "wall_over_ours": {"median": over}}
        return {"section": section, "solvers": [ours, other]}

    found = ratios([row("reach", 100.0, 5.0), row("reach", 90.0, 3.0), row("follow", 30.0, 2.0)])
    assert set(found) == {"reach: pink / unichunk", "follow: pink / unichunk"}
    assert found["reach: pink / unichunk"].median == pytest.approx(4.0)
    assert found["reach: pink / unichunk"].better == "higher"
