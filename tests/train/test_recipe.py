"""The recipe's glue, end to end, with next to no data and next to no training."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")
if not find_spec("mujoco"):  # not imported here: that would choose how it renders before the simulator package does
    pytest.skip("demonstrations need MuJoCo: pip install 'unichunk[sim]'", allow_module_level=True)

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.hands import POSTURES, Hands
from unichunk.embodiments.sim.instruction import INSTRUCTIONS
from unichunk.embodiments.sim.policy_values import PolicyValues
from unichunk.embodiments.sim.recorder import Recorder
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.robots import RobotSource
from unichunk.runtime.policy import Policy
from unichunk.runtime.state_forward import expected_joints
from unichunk.server.train_follow import DATASET, MAX_DELAY, SIZES, Recipe, build
from unichunk.server.train_follow_phrases import phrases
from unichunk.server.train_follow_sources import (
    RobotDemonstrations,
    camera_of,
    load_demonstrations,
    save_demonstrations,
    source,
)

ROBOTS = ("so101", "fr3_inspire")
SMALL = replace(SIZES, vision_layers=1, layers=1, image_size=48, vision_image_size=48)


@pytest.fixture(scope="module")
def recorded() -> list[RobotDemonstrations]:
    robots = []
    for name in ROBOTS:
        spec = load_spec(name)
        recorder = Recorder(spec, camera_of(spec), SMALL.image_size, MAX_DELAY)
        robots.append(RobotDemonstrations(spec, camera_of(spec), recorder.record([1])))
        recorder.close()
    return robots


@pytest.mark.simulator
def test_demonstrations_of_two_robots_become_one_checkpoint_and_one_bundle_for_both(recorded, tmp_path):
    recipe = Recipe(out=tmp_path / "checkpoint", robots=ROBOTS, minutes=0.001, workers=2, data=tmp_path)
    build(recipe, recorded, SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]
    with pytest.raises(SystemExit, match="exists already"):
        build(recipe, recorded, SMALL)
    sources = tuple(RobotSource(f"generalist_{name}", DATASET, name, name) for name in ROBOTS)
    manifest = compile_checkpoint(recipe.out, tmp_path / "bundle", CompileOptions(robots=sources))
    assert manifest.noise == "own"
    for robot in recorded:
        spec = robot.spec
        EmbodimentAdapter.for_manifest(spec, manifest, "here")
        entry = manifest.robots[spec.name]
        assert (entry.action_hz, entry.max_delay) == (spec.action_hz, MAX_DELAY)
        policy = Policy.load(tmp_path / "bundle", embodiment=spec.name, refinement_rounds=2)
        assert np.isfinite(policy.infer(policy.example_observation()).unified).all()
        # What training calls normalized is what the bundle calls normalized.
        values = PolicyValues(spec, robot.executed)
        joints = robot.demonstrations.rows[0, :5]
        encoded = policy.encode_actions(EmbodimentAdapter(spec, policy.robot).actions(joints, spec.rest))
        np.testing.assert_allclose(encoded[:, list(values.slots)], values.encode(joints), atol=1e-5)
        assert (np.delete(encoded, values.slots, axis=1) == 0.0).all()


class Letters:
    """A prompt whose tokens are letters."""

    def text_ids(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))


@pytest.mark.simulator
def test_an_instruction_asks_for_the_goal_of_its_block_with_the_hands_in_its_posture(recorded):
    robot = recorded[1]
    data = source(robot, Letters(), SMALL.rows, MAX_DELAY).data
    hands, values = Hands(robot.spec), PolicyValues(robot.spec, robot.executed)
    arms = np.delete(np.arange(13), hands.index)
    for place, block in enumerate(BLOCKS):
        for number, posture in enumerate(POSTURES):
            texts = ["".join(chr(i) for i in ids if i >= 0) for ids in data.tokens[place, number].tolist()]
            assert INSTRUCTIONS[posture].format(block=block) in texts
            assert all(block in text for text in texts)
            goals = values.decode(data.goals[:, place, number])
            np.testing.assert_allclose(goals[:, arms], robot.demonstrations.goal[:, place, arms], atol=1e-5)
            np.testing.assert_allclose(goals[:, hands.index] - hands.values(posture), 0.0, atol=1e-5)
    assert (data.followed == np.stack([robot.demonstrations.followed, robot.demonstrations.posture], axis=1)).all()


@pytest.mark.simulator
def test_a_policy_that_is_told_the_takeovers_state_learns_what_the_runtime_will_tell_it(recorded):
    """The observed joints, moved on by what the demonstrator executed in between, by the runtime's own function."""
    robot = recorded[0]
    spec, told = robot.spec, robot.demonstrations
    data = source(robot, Letters(), SMALL.rows, MAX_DELAY, "takeover").data
    assert source(robot, Letters(), SMALL.rows, MAX_DELAY).data.expected is None
    index = np.arange(len(told.q) - MAX_DELAY)
    np.testing.assert_array_equal(data.expected(index, np.zeros_like(index)), data.state[index])
    values = PolicyValues(spec, robot.executed)
    for delay in (1, MAX_DELAY):
        ran, last = told.rows[0, index], told.rows[0, index + delay]
        row = expected_joints(told.q[index].astype(float), ran, last, spec.limits)
        np.testing.assert_array_equal(data.expected(index, np.full_like(index, delay)), values.encode(row))
    # Four ticks on the joints are nearer to what was expected than to where they were.
    later = data.state[index[:-4] + 4]
    stale, ahead = (
        np.abs(guess[:-4] - later).mean() for guess in (data.state[index], data.expected(index, 4 + 0 * index))
    )
    assert ahead < 0.8 * stale


@pytest.mark.simulator
def test_kept_demonstrations_are_those_that_were_recorded(recorded, tmp_path):
    save_demonstrations(recorded[0].demonstrations, tmp_path / "kept")
    kept = load_demonstrations(tmp_path / "kept")
    for name, array in vars(recorded[0].demonstrations).items():
        np.testing.assert_array_equal(getattr(kept, name), array)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_every_goal_can_be_asked_for_in_as_many_ways_and_only_a_gripper_is_called_one():
    for name in ROBOTS:
        said = phrases(load_spec(name))
        assert list(said) == [(block, posture) for block in BLOCKS for posture in POSTURES]
        assert len({len(texts) for texts in said.values()}) == 1
        goals = {text: goal for goal, texts in said.items() for text in texts}
        assert all(goals[text] == goal for goal, texts in said.items() for text in texts)
        assert any("gripper" in text for text in goals) == (name == "so101")


@pytest.mark.parametrize("name", ["so101", "g1_o6"])
def test_values_go_there_and_back(name):
    spec = load_spec(name)
    limits = spec.limits
    rows = np.random.default_rng(0).uniform(limits.lower, limits.upper, size=(50, limits.size))
    values = PolicyValues(spec, rows)
    assert len(set(values.slots)) == limits.size
    if name == "so101":
        assert values.slots == (50, 51, 52, 53, 54, 18)
    np.testing.assert_allclose(values.decode(values.encode(rows)), rows, atol=1e-6)
    np.testing.assert_allclose(values.encode(rows).mean(axis=0), 0.0, atol=1e-5)
