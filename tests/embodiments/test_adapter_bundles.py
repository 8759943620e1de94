"""Which policies drive which robots: those whose keys are in slots that the robot has, and that move all of it once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.embodiments.robots import (
    ROWS,
    Model,
    apart,
    bent,
    franka_with_gripper,
    observation_at,
    single_precision,
    wandering,
)
from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.robot_entries import end_effector_entry, joint_entry
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import Key, NoNormalization, RobotEntry

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.embodiments.spec import EmbodimentSpec

ORIGIN = "bundles/mine"


def key(start: int, stop: int, **more: Any) -> Key:
    return Key(slots=(start, stop), normalization=NoNormalization(), **more)


def changed(robot: RobotEntry, **changes: Any) -> RobotEntry:
    return msgspec.structs.replace(robot, **changes)


def without(keys: dict[str, Key], *names: str) -> dict[str, Key]:
    return {name: value for name, value in keys.items() if name not in names}


def test_a_policy_made_for_the_robot_drives_it(spec: EmbodimentSpec, tmp_path: Path) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "tiny", embodiment=spec.name))
    adapter = EmbodimentAdapter.for_manifest(spec, policy.manifest, ORIGIN)
    resting = np.repeat(spec.rest[None], policy.chunk_length, axis=0)
    locked = policy.encode_actions(adapter.actions(resting, spec.rest))
    result = policy.infer(adapter.policy_input(observation_at(spec, spec.rest), ""), locked, 2)
    joints = adapter.joints(result.actions, spec.rest, 2)
    assert joints.shape == (policy.chunk_length, len(spec.joints))
    np.testing.assert_allclose(joints[:2], spec.rest[None].repeat(2, axis=0), atol=1e-6)
    assert (joints >= spec.limits.lower - 1e-6).all()
    assert (joints <= spec.limits.upper + 1e-6).all()
    steps = np.abs(np.diff(joints, axis=0))
    assert (steps < spec.limits.velocity / spec.action_hz).all()
    assert steps[2:].max() > 0


def test_a_bundle_for_other_robots(spec: EmbodimentSpec, tmp_path: Path) -> None:
    manifest = read_manifest(write_tiny_bundle(tmp_path / "tiny", embodiment=spec.name))
    entry = manifest.robots[spec.name]
    EmbodimentAdapter.for_manifest(
        spec, msgspec.structs.replace(manifest, robots={"walker": entry, spec.name: entry}), ORIGIN
    )
    other = msgspec.structs.replace(manifest, robots={"walker": entry, "crane": entry})
    with refused(BundleError, ORIGIN, "'tiny' drives walker, crane, not", spec.name, "choose another bundle"):
        EmbodimentAdapter.for_manifest(spec, other, ORIGIN)


def test_a_policy_that_needs_another_camera(spec: EmbodimentSpec) -> None:
    other = changed(joint_entry(spec), cameras=("periscope",))
    with refused(BundleError, ORIGIN, "needs camera 'periscope'", spec.name, *spec.cameras, "choose another bundle"):
        EmbodimentAdapter(spec, other, ORIGIN)


def test_a_policy_of_another_rate(spec: EmbodimentSpec) -> None:
    other = changed(joint_entry(spec), action_hz=spec.action_hz + 1)
    words = (f"rows are {spec.action_hz + 1} Hz", f"{spec.name} runs at {spec.action_hz} Hz", "choose another bundle")
    with refused(BundleError, ORIGIN, *words):
        EmbodimentAdapter(spec, other, ORIGIN)


@pytest.mark.parametrize("section", ["state", "action"])
@pytest.mark.parametrize("slots", [(90, 100), (49, 53), (50, 52), (199, 200)])
def test_slots_that_the_robot_does_not_have(spec: EmbodimentSpec, section: str, slots: tuple[int, int]) -> None:
    robot = joint_entry(spec)
    # The arm's own key goes, so that the slots are not taken twice.
    arm = next(name for name, group in spec.groups.items() if group.slots[0] == 50)
    keys = {**without(getattr(robot, section), arm), "tail": key(*slots)}
    words = (f"{section}.tail in slots {slots[0]}-{slots[1]}", f"{spec.name} does not have it", "choose another bundle")
    with refused(BundleError, ORIGIN, *words):
        EmbodimentAdapter(spec, changed(robot, **{section: keys}), ORIGIN)


def test_what_must_be_moved_and_is_not(spec: EmbodimentSpec) -> None:
    robot = joint_entry(spec)
    for name, group in spec.groups.items():
        fewer = changed(robot, action=without(robot.action, name))
        if group.kind in ("head", "waist"):
            EmbodimentAdapter(spec, fewer, ORIGIN)
            continue
        with refused(BundleError, ORIGIN, f"no action for {name} of {spec.name}", "choose another bundle"):
            EmbodimentAdapter(spec, fewer, ORIGIN)


def test_an_arm_that_is_moved_twice_or_turned_alone(spec: EmbodimentSpec) -> None:
    joints, ends = joint_entry(spec), end_effector_entry(spec)
    both = changed(joints, action={**ends.action, **joints.action})
    with refused(BundleError, ORIGIN, "both move", spec.name, "joints or the end effector, not both"):
        EmbodimentAdapter(spec, both, ORIGIN)
    side = next(iter(spec.end_effectors))
    turned = changed(ends, action=without(ends.action, f"{side}_end_effector_position"))
    with refused(BundleError, ORIGIN, f"{side}_end_effector_rotation turns the {side}", "no action moves its position"):
        EmbodimentAdapter(spec, turned, ORIGIN)


def test_a_head_or_waist_without_an_action_stays(spec: EmbodimentSpec) -> None:
    standing = [name for name, group in spec.groups.items() if group.kind in ("head", "waist")]
    for robot in (joint_entry(spec), end_effector_entry(spec)):
        adapter = EmbodimentAdapter(spec, changed(robot, action=without(robot.action, *standing)), ORIGIN)
        before, rows = bent(spec), wandering(spec, 2)
        joints = adapter.joints(single_precision(adapter.actions(rows, before)), before)
        index = [i for name in standing for i in spec.joint_index(name)]
        np.testing.assert_array_equal(joints[:, index], np.repeat(before[None, index], ROWS, axis=0))


def test_a_policy_that_looks_at_fewer_things(spec: EmbodimentSpec) -> None:
    robot = joint_entry(spec)
    name = next(iter(robot.state))
    fewer = changed(robot, state={name: robot.state[name]}, cameras=robot.cameras[:1])
    inputs = EmbodimentAdapter(spec, fewer, ORIGIN).policy_input(observation_at(spec, spec.rest), "go")
    assert set(inputs) == {f"video.{robot.cameras[0]}", f"state.{name}", "language.instruction"}


def test_names_are_the_policys_and_one_key_may_be_several_parts() -> None:
    """Slots decide: two arms in one key, a pose in one key."""
    spec = load_spec("g1_o6")
    robot, rest = joint_entry(spec), spec.rest
    hands = {name: value for name, value in robot.action.items() if spec.groups[name].kind == "hand"}
    arms = changed(robot, state={"both": key(50, 64), "hand_pose": key(0, 6)}, action={"both": key(50, 64), **hands})
    adapter = EmbodimentAdapter(spec, arms, ORIGIN)
    rows = wandering(spec, 1)
    actions = adapter.actions(rows, rest)
    expected = np.concatenate([rows[:, spec.joint_index(name)] for name in ("right_arm", "left_arm")], axis=1)
    np.testing.assert_array_equal(actions["action.both"], expected)
    np.testing.assert_allclose(adapter.joints(single_precision(actions), rest), rows, atol=1e-6)
    inputs = adapter.policy_input(observation_at(spec, rest), "")
    assert inputs["state.both"].shape == (14,)
    assert inputs["state.hand_pose"].shape == (6,)


def test_positions_without_rotations() -> None:
    """An arm of five joints cannot keep a rotation, but it can go anywhere within its reach."""
    spec = load_spec("so101")
    ends = end_effector_entry(spec)
    adapter = EmbodimentAdapter(spec, changed(ends, action=without(ends.action, "right_end_effector_rotation")), ORIGIN)
    start, model = bent(spec), Model(spec)
    chunk = single_precision(adapter.actions(np.repeat(start[None], ROWS, axis=0), start))
    chunk["action.right_end_effector_position"][:] = 0.001, 0.001, 0.001
    joints = adapter.joints(chunk, start)
    assert adapter.statistics() == {"rows": ROWS, "velocity_limited": 0, "unreachable": 0, "invalid": 0}
    went = model.poses(joints, "right")[:, :3, 3] - model.poses(start[None], "right")[:, :3, 3]
    np.testing.assert_allclose(went, 0.001 * np.repeat(np.arange(1, ROWS + 1)[:, None], 3, axis=1), atol=2e-4)


def test_a_moving_waist_does_not_carry_the_hands_away() -> None:
    """End effectors are displaced in the base, whatever else moves them."""
    spec = load_spec("adam_u")
    adapter, model, start = EmbodimentAdapter(spec, end_effector_entry(spec), ORIGIN), Model(spec), bent(spec)
    chunk = single_precision(adapter.actions(np.repeat(start[None], ROWS, axis=0), start))
    for name, values in chunk.items():
        if "end_effector" in name:
            values[:] = 0
    chunk["action.waist"][:, 2] += np.linspace(0.005, 0.08, ROWS, dtype=np.float32)
    joints = adapter.joints(chunk, start)
    assert adapter.statistics()["rows"] == ROWS
    assert sum(adapter.statistics().values()) == ROWS, "every row was reached"
    waist = spec.joint_index("waist")[2]
    assert joints[-1, waist] == pytest.approx(start[waist] + 0.08, abs=1e-6)
    for side in spec.end_effectors:
        distance, angle = apart(model.poses(joints, side), np.repeat(model.poses(start[None], side), ROWS, axis=0))
        assert distance < 2e-3
        assert angle < 0.02


# Published configurations.

LIBERO = RobotEntry(
    cameras=("top_view", "wrist_view"),
    state={
        "eef_position": key(0, 3),
        "eef_rotation": key(3, 6, rotation="axis_angle"),
        "libero_gripper_position": key(44, 46),
    },
    action={"eef_position": key(0, 3), "eef_rotation": key(3, 6), "gripper_position": key(18, 19)},
    action_hz=20,
    max_delay=4,
)


def test_a_libero_policy_on_the_arm_it_is_about() -> None:
    spec, before = franka_with_gripper(), load_spec("fr3_inspire").rest[:7]
    adapter, q = EmbodimentAdapter(spec, LIBERO, ORIGIN), np.append(before, 0.03)
    inputs = adapter.policy_input(observation_at(spec, q), "open the drawer")
    np.testing.assert_allclose(inputs["state.libero_gripper_position"], [0.03, -0.03])
    pose = Model(spec).poses(q[None], "right")[0]
    np.testing.assert_allclose(inputs["state.eef_position"], pose[:3, 3], atol=1e-9)
    chunk = {
        "action.eef_position": np.full((ROWS, 3), 0.001, np.float32),
        "action.eef_rotation": np.zeros((ROWS, 3), np.float32),
        "action.gripper_position": np.linspace(1, 0, ROWS, dtype=np.float32)[:, None],
    }
    joints = adapter.joints(chunk, q)
    assert adapter.statistics() == {"rows": ROWS, "velocity_limited": 0, "unreachable": 0, "invalid": 0}
    np.testing.assert_allclose(joints[:, 7], np.linspace(0.04, 0.0, ROWS), atol=1e-6)
    reached = Model(spec).poses(joints, "right")[:, :3, 3]
    np.testing.assert_allclose(reached[-1] - pose[:3, 3], ROWS * 0.001, atol=2e-4)
    back = adapter.actions(joints, q)
    for name, values in chunk.items():
        np.testing.assert_allclose(back[name], values, atol=2e-3)


def test_a_gripper_that_is_told_where_its_fingers_shall_be() -> None:
    spec = franka_with_gripper()
    fingers = changed(LIBERO, action={**without(LIBERO.action, "gripper_position"), "fingers": key(44, 46)})
    adapter, q = EmbodimentAdapter(spec, fingers, ORIGIN), spec.rest
    actions = adapter.actions(q[None], q)
    np.testing.assert_allclose(actions["action.fingers"], [[0.04, -0.04]])
    actions["action.fingers"][:] = 0.01, -0.01
    assert adapter.joints(single_precision(actions), q)[0, 7] == pytest.approx(0.01)
    twice = changed(LIBERO, action={**LIBERO.action, "fingers": key(44, 46)})
    with refused(BundleError, ORIGIN, "both move gripper of franka"):
        EmbodimentAdapter(spec, twice, ORIGIN)


def test_a_libero_policy_on_another_robot() -> None:
    spec = load_spec("fr3_inspire")
    entry = changed(LIBERO, cameras=tuple(spec.cameras)[:1], action_hz=spec.action_hz)
    with refused(BundleError, "state.libero_gripper_position in slots 44-46, but fr3_inspire does not have it"):
        EmbodimentAdapter(spec, entry, ORIGIN)
    hinged = load_spec("so101")
    entry = changed(LIBERO, cameras=tuple(hinged.cameras), action_hz=hinged.action_hz)
    with refused(BundleError, "slots 44-46, but so101 does not have it"):
        EmbodimentAdapter(hinged, entry, ORIGIN)


def test_a_policy_that_drives_a_base() -> None:
    spec = franka_with_gripper()
    with refused(BundleError, "action.base_motion in slots 70-74, but franka does not have it"):
        EmbodimentAdapter(spec, changed(LIBERO, action={**LIBERO.action, "base_motion": key(70, 74)}), ORIGIN)
