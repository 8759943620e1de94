"""The closed loop and the evaluation, driven by policies whose behaviour is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.conditions import CONDITIONS, Condition
from unichunk.embodiments.sim.evaluation import EXPERT, NO_MOTION, Evaluation, Trial, evaluate
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.follow_score import FollowScore
from unichunk.embodiments.sim.instruction import InstructionUnclear, parse_instruction
from unichunk.embodiments.sim.intervals import mean_and_error, wilson
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import StateTime

SPEC = load_spec("so101")
CAMERA = "third_person"
ROWS = 24


@dataclass(frozen=True)
class Chunk:
    unified: NDArray[np.float32]
    actions: Mapping[str, NDArray[np.float32]]


class Oracle:
    """Knows the paths and the time; plans as the expert does from the last locked row. Its unified rows are joints.

    Args:
        twin: Whose blocks.
        contrary: Follows the block that was not named.
        deaf: Has the gripper half open, whatever is asked for.
    """

    chunk_length = ROWS
    max_delay = 12
    locks = True
    state_time: StateTime = "observation"

    def __init__(self, twin: Twin, *, contrary: bool = False, deaf: bool = False) -> None:
        self._twin, self._contrary, self._deaf, self._expert = twin, contrary, deaf, Expert(SPEC)
        self._adapter = EmbodimentAdapter(SPEC, joint_entry(SPEC))
        self.seen: list[tuple[dict[str, Any], NDArray[np.float32], int]] = []
        self.answered: list[NDArray[np.float32]] = []

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        rows = np.zeros((len(actions["action.gripper"]), 200), np.float32)
        rows[:, :6] = self._adapter.joints({key: value.astype(np.float32) for key, value in actions.items()}, SPEC.rest)
        return rows

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        assert previous_chunk is not None
        self.seen.append((dict(observation), previous_chunk.copy(), delay))
        asked = parse_instruction(observation["language.instruction"])
        block = BLOCKS[1 - BLOCKS.index(asked.block)] if self._contrary else asked.block
        goal = self._twin.task.goal(block, self._twin.time, "half" if self._deaf else asked.posture)
        last = previous_chunk[delay - 1, :6] if delay else self._twin.command
        plan = self._expert.continuation(last, goal, ROWS - delay)
        rows = np.zeros((ROWS, 200), np.float32)
        rows[:delay] = previous_chunk[:delay]
        rows[delay:, :6] = plan
        self.answered.append(rows)
        actions = self._adapter.actions(rows[:, :6].astype(np.float64), SPEC.rest)
        return Chunk(rows, {key: value.astype(np.float32) for key, value in actions.items()})


@pytest.fixture(scope="module")
def twin() -> Twin:
    return Twin(SPEC, 201)


@pytest.fixture(scope="module")
def renderer(twin: Twin) -> Iterator[CameraRenderer]:
    renderer = CameraRenderer(twin.model, CAMERA)
    yield renderer
    renderer.close()


def loop(twin: Twin, renderer: CameraRenderer, policy: Oracle) -> ClosedLoop:
    return ClosedLoop(twin, (CAMERA, renderer), EmbodimentAdapter(SPEC, joint_entry(SPEC)), policy)


@pytest.mark.simulator
@pytest.mark.parametrize("block", BLOCKS)
def test_whoever_follows_the_named_block_succeeds_and_whoever_follows_the_other_fails(twin, renderer, block):
    told = [f"follow the {block} block"] * 160
    good = loop(twin, renderer, Oracle(twin)).run(told, 4)
    bad = loop(twin, renderer, Oracle(twin, contrary=True)).run(told, 4)
    assert good.score.success
    assert good.score.error < 0.03 < good.score.other_error
    assert not bad.score.success
    assert bad.score.other_error < 0.03 < bad.score.error
    assert bad.score.on_target == 0.0
    assert 0.0 < good.max_command_step <= SPEC.limits.velocity.min() / SPEC.command_hz


@pytest.mark.simulator
def test_a_posture_that_is_asked_for_is_part_of_success(twin, renderer):
    told = ["follow the red block with a closed gripper"] * 100
    assert loop(twin, renderer, Oracle(twin)).run(told, 4).score.on_target == 1.0
    assert loop(twin, renderer, Oracle(twin, deaf=True)).run(told, 4).score.on_target == 0.0


@pytest.mark.simulator
def test_the_policy_is_told_what_is_said_at_its_tick_and_gets_what_was_committed(twin, renderer, monkeypatch):
    policy, adapter, before = Oracle(twin), EmbodimentAdapter(SPEC, joint_entry(SPEC)), []
    joints = adapter.joints

    def watched(actions, row, delay):
        before.append(row)
        return joints(actions, row, delay)

    monkeypatch.setattr(adapter, "joints", watched)
    told = ["follow the red block"] * 30 + ["follow the blue block"] * 30
    ClosedLoop(twin, (CAMERA, renderer), adapter, policy).run(told, 6)
    # A chunk goes on from the last row that is committed before its own.
    for older, row in zip(policy.answered, before[1:], strict=False):
        np.testing.assert_allclose(row, older[11, :6], atol=1e-6)
    assert [delay for _, _, delay in policy.seen] == [6] * 10
    assert ["red" in seen["language.instruction"] for seen, _, _ in policy.seen] == [True] * 5 + [False] * 5
    for older, (_, committed, _) in zip(policy.answered, policy.seen[1:], strict=False):
        np.testing.assert_array_equal(committed[: ROWS - 6], older[6:])
    assert policy.seen[0][0][f"video.{CAMERA}"].shape == (120, 160, 3)


@pytest.mark.simulator
def test_a_policy_may_be_told_the_state_at_the_tick_that_its_rows_begin(twin, renderer):
    """By as much farther as the committed rows go on from the row before the observation's tick."""
    told, policies = {}, {}
    for state_time in ("observation", "takeover"):
        policy = policies[state_time] = Oracle(twin)
        policy.state_time = state_time
        loop(twin, renderer, policy).run(["follow the red block"] * 40, 5)
        keys = [key for key in policy.seen[0][0] if key.startswith("state.")]
        told[state_time] = np.array([np.concatenate([seen[key] for key in keys]) for seen, _, _ in policy.seen])
    # The oracle does not ask for its state, so both runs are the same.
    last = np.array([committed[4, :6] for _, committed, _ in policies["takeover"].seen])
    adapter, spec_rows = EmbodimentAdapter(SPEC, joint_entry(SPEC)), last.astype(np.float64)
    values = np.concatenate(list(adapter.actions(spec_rows, SPEC.rest).values()), axis=1)
    moved = told["takeover"][1:] - told["observation"][1:]
    np.testing.assert_allclose(moved, np.diff(values, axis=0), atol=1e-5)
    assert np.abs(moved).max() > 0.05
    later = told["observation"][2:]
    stale, ahead = (np.abs(guess - later).mean() for guess in (told["observation"][1:-1], told["takeover"][1:-1]))
    assert ahead < 0.5 * stale, "five ticks on the joints are about where they were expected"


@pytest.mark.simulator
def test_an_instruction_without_a_block_is_refused_before_anything_moves(twin, renderer):
    policy = Oracle(twin)
    with refused(InstructionUnclear, "neither"):
        loop(twin, renderer, policy).run(["follow the red block", "dance"], 4)
    assert policy.seen == []


@pytest.mark.simulator
@pytest.mark.parametrize("delay", [0, 1, 5, 12])
def test_chunks_that_were_locked_continue_exactly_what_ran(twin, renderer, delay):
    result = loop(twin, renderer, Oracle(twin)).run(["follow the red block"] * 40, delay)
    period = max(delay, 1)
    assert result.chunks == (40 if delay == 0 else (40 - 1) // period)
    assert result.violations == 0
    assert result.seams.count == result.chunks - 1


class Forgetful(Oracle):
    """Is told of no committed rows: each chunk goes straight to where the block is."""

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        assert previous_chunk is None
        assert delay == 0
        return super().infer(observation, np.zeros((ROWS, 200), np.float32), 0)


@pytest.mark.simulator
def test_without_the_lock_rows_from_d_on_take_over_whatever_ran_before_them(twin, renderer, monkeypatch):
    policy, adapter, calls = Forgetful(twin), EmbodimentAdapter(SPEC, joint_entry(SPEC)), []
    joints = adapter.joints

    def watched(actions, row, delay):
        calls.append((row, delay))
        return joints(actions, row, delay)

    monkeypatch.setattr(adapter, "joints", watched)
    naive = ClosedLoop(twin, (CAMERA, renderer), adapter, policy, lock=False)
    result = naive.run(["follow the red block"] * 20 + ["follow the blue block"] * 20, 4)
    assert result.chunks == 9
    assert result.violations == 9
    # A chunk's own rows go on from the one that ran before its first one, which is row 2 d - 1 of the one before.
    assert [delay for _, delay in calls] == [0] * 10
    np.testing.assert_allclose(calls[0][0], SPEC.rest, atol=1e-6)
    np.testing.assert_allclose(calls[1][0], SPEC.rest, atol=1e-6)
    for older, (row, _) in zip(policy.answered, calls[2:], strict=False):
        np.testing.assert_allclose(row, older[7, :6], atol=1e-6)
    locked = loop(twin, renderer, Oracle(twin)).run(["follow the red block"] * 20 + ["follow the blue block"] * 20, 4)
    assert result.seams.kink > 1.5 * locked.seams.kink
    assert result.seams.largest_step > locked.seams.largest_step


@pytest.mark.simulator
@pytest.mark.parametrize("delay", [-1, 13])
def test_a_delay_that_chunks_cannot_cover_is_refused(twin, renderer, delay):
    policy = Oracle(twin)
    with refused(ValueError, "delay", "0 to 12", str(delay)):
        loop(twin, renderer, policy).run(["follow the red block"] * 20, delay)
    assert policy.seen == []


class Still(Oracle):
    """Stays where it stands."""

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        assert previous_chunk is not None
        self.seen.append((dict(observation), previous_chunk.copy(), delay))
        rows = np.repeat(previous_chunk[:1], ROWS, axis=0)
        actions = self._adapter.actions(rows[:, :6].astype(np.float64), SPEC.rest)
        return Chunk(rows, {key: value.astype(np.float32) for key, value in actions.items()})


@pytest.mark.simulator
def test_an_evaluation_runs_every_policy_under_every_condition_with_both_instructions(twin):
    said: list[str] = []
    still = Still(twin)
    adapter = EmbodimentAdapter(SPEC, joint_entry(SPEC))
    evaluation = evaluate(
        SPEC,
        [("still", still, adapter), ("again", Still(twin), adapter)],
        CAMERA,
        postures=("half", "closed"),
        seeds=(101, 102),
        duration_s=2.0,
        report=said.append,
    )
    runs = {(trial.label, trial.condition, trial.block, trial.posture, trial.seed) for trial in evaluation.trials}
    # All postures under the first condition, the first under all, of both blocks on both paths.
    assert len(runs) == len(evaluation.trials) == 2 * 2 * (2 * 5 + 2 * 3)
    assert len(said) == 4 * 2
    names = [condition.name for condition in CONDITIONS]
    assert names == ["clean", "lighting", "occlusion", "switch"]
    # The references are run where what is told differs.
    assert {(t.condition, t.label) for t in evaluation.trials if t.label in (EXPERT, NO_MOTION)} == {
        (condition, label) for condition in ("clean", "switch") for label in (EXPERT, NO_MOTION)
    }
    # A policy that stands still scores as no motion does, in light and dark.
    by_run = {(t.label, t.condition, t.block, t.posture, t.seed): t.score for t in evaluation.trials}
    for condition in ("clean", "lighting", "occlusion"):
        assert by_run["still", condition, "red", "half", 101].error == pytest.approx(
            by_run[NO_MOTION, "clean", "red", "half", 101].error, abs=1e-6
        )
    pictures = [seen[f"video.{CAMERA}"].mean() for seen, _, _ in still.seen]
    assert len(pictures) == 5 * 2 * 2 * 10
    assert np.std(pictures[80:120]) > 10 * np.std(pictures[:80])
    told = [seen["language.instruction"] for seen, _, _ in still.seen]
    assert ["closed" in text for text in told[:80]] == 2 * (20 * [False] + 20 * [True])
    table, comparison = evaluation.table(), evaluation.comparison("still")
    assert len(table.splitlines()) == 2 + 4 * 2 + 2 * 2
    assert "| clean | no motion | 0/8 (0.00 to 0.32) |" in table
    assert len(comparison.splitlines()) == 2 + 4
    assert "| occlusion | again | +0.00 +- 0.00 | +0.000 +- 0.000 | +0.0 +- 0.0 |" in comparison
    assert evaluation.documents()[0]["score"].keys() == {"error", "other_error", "posture_error", "near", "on_target"}


def test_a_switch_names_the_other_block_from_half_way_on():
    assert Condition("s", switch=True).named("blue", 5) == ["blue", "blue", "blue", "red", "red"]
    assert Condition("s").named("blue", 3) == ["blue"] * 3


def test_differences_are_of_the_same_runs_and_averaged_over_runs_with_the_same_paths():
    def trial(label: str, block: str, seed: int, error: float) -> Trial:
        return Trial(label, "clean", block, "half", seed, FollowScore(error, 0.1, 0.0, 0.0, 0.0))

    errors = {("red", 1): 0.010, ("blue", 1): 0.050, ("red", 2): 0.020, ("blue", 2): 0.090}
    more = {("red", 1): 0.001, ("blue", 1): 0.003, ("red", 2): 0.003, ("blue", 2): 0.005}
    trials = [trial("a", *run, error) for run, error in errors.items()]
    trials += [trial("b", *run, errors[run] + extra) for run, extra in reversed(more.items())]
    difference, error = Evaluation(trials).difference("clean", "b", "a", lambda score: 1e3 * score.error)
    assert difference == pytest.approx(3.0)
    assert error == pytest.approx(1.0)  # of the means 2 and 4
    assert "| clean | b | +0.00 +- 0.00 | +0.000 +- 0.000 | +3.0 +- 1.0 |" in Evaluation(trials).comparison("a")


def test_wilson_intervals_are_those_of_the_literature():
    # Newcombe 1998, table I, score method without continuity correction.
    for successes, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson(successes, trials) == pytest.approx((low, high), abs=6e-5)
    assert wilson(29, 29) == pytest.approx((0.8830, 1.0), abs=6e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_single_value_has_no_known_error():
    assert mean_and_error([1.0]) == (1.0, np.inf)
    assert mean_and_error([1.0, 3.0]) == (2.0, 1.0)
