"""The contract of every robot's adapter: state, actions and joints say the same, in joint and in end-effector form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.embodiments.robots import (
    ROWS,
    Model,
    apart,
    bent,
    moved_by_inverse_kinematics,
    observation_at,
    single_precision,
    wandering,
)
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.robot_entries import end_effector_entry, joint_entry
from unichunk.kinematics.rotation import from_axis_angle
from unichunk.runtime.policy.rotation import axis_angle, rotation_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.policy.manifest import RotationInput

NEAR = (2e-3, 0.02)
"""What counts as tracked, [m] and [rad]."""


@pytest.fixture(scope="module")
def in_joints(spec: EmbodimentSpec) -> EmbodimentAdapter:
    return EmbodimentAdapter(spec, joint_entry(spec))


@pytest.fixture(scope="module")
def by_ends(spec: EmbodimentSpec) -> EmbodimentAdapter:
    assert spec.end_effectors, f"{spec.name} has no end effector"
    return EmbodimentAdapter(spec, end_effector_entry(spec))


@pytest.fixture(scope="module")
def model(spec: EmbodimentSpec) -> Model:
    return Model(spec)


def missed(adapter: EmbodimentAdapter, before: dict[str, int]) -> int:
    """Rows since then that were not reached."""
    return sum(count - before[name] for name, count in adapter.statistics().items() if name != "rows")


def staying(spec: EmbodimentSpec, adapter: EmbodimentAdapter, q: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """The chunk that stays at a pose."""
    actions = single_precision(adapter.actions(np.repeat(q[None], ROWS, axis=0), q))
    for name, values in actions.items():
        if "end_effector" in name:
            assert np.abs(values).max() < 1e-6, f"{spec.name} moves by {values[0]} to stay"
            values[:] = 0
    return actions


# Joint form.


@pytest.mark.parametrize("name", embodiment_names())
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_joints_to_actions_and_back(name: str, data: st.DataObject) -> None:
    spec = load_spec(name)
    adapter = EmbodimentAdapter(spec, joint_entry(spec))
    shape = (data.draw(st.integers(1, 30)), len(spec.joints))
    joints = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-7, 7, allow_subnormal=False)))
    before = data.draw(hnp.arrays(np.float64, shape[1], elements=st.floats(-7, 7)))
    actions = adapter.actions(joints, before)
    assert list(actions) == [f"action.{group}" for group in spec.groups]
    for group in spec.groups:
        assert actions[f"action.{group}"].shape == (shape[0], len(spec.groups[group].joints))
    back = adapter.joints(single_precision(actions), before)
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, joints, rtol=0, atol=5e-6)
    assert adapter.statistics() == {}
    assert adapter.displacement_slots.size == 0


def test_every_joint_moves_its_own_action_and_no_other(spec: EmbodimentSpec, in_joints: EmbodimentAdapter) -> None:
    names = [joint for group in spec.groups.values() for joint in group.joint_names]
    at_rest = np.concatenate(list(in_joints.actions(spec.rest[None], spec.rest).values()), axis=1)
    for i, joint in enumerate(spec.joint_names):
        moved = spec.rest.copy()
        moved[i] += 0.01
        actions = np.concatenate(list(in_joints.actions(moved[None], spec.rest).values()), axis=1)
        assert [names[column] for column in np.flatnonzero(actions[0] != at_rest[0])] == [joint]


def test_units_and_signs(spec: EmbodimentSpec, in_joints: EmbodimentAdapter) -> None:
    """Radians stay radians; an open fraction is 0 closed, at the lower limit, and 1 open, at the upper."""
    poses = np.stack([spec.limits.lower, spec.limits.upper, (spec.limits.lower + spec.limits.upper) / 2])
    actions = in_joints.actions(poses, spec.rest)
    for name, group in spec.groups.items():
        values = actions[f"action.{name}"]
        if group.unit == "rad":
            np.testing.assert_array_equal(values, poses[:, spec.joint_index(name)])
            continue
        np.testing.assert_allclose(values, np.repeat([[0.0], [1.0], [0.5]], len(group.joints), axis=1), atol=1e-12)
        for share, posture in ((1.0, group.open), (0.0, group.closed)):
            q = spec.rest.copy()
            q[spec.joint_index(name)] = posture
            np.testing.assert_allclose(in_joints.actions(q[None], q)[f"action.{name}"], share, atol=0.05)


def test_hands_open_and_close_as_the_spec_says(spec: EmbodimentSpec, in_joints: EmbodimentAdapter) -> None:
    for name, group in spec.groups.items():
        for posture in (group.open, group.closed):
            if posture is None:
                continue
            index, q = spec.joint_index(name), spec.rest.copy()
            q[index] = posture
            actions = single_precision(in_joints.actions(q[None], q))
            np.testing.assert_allclose(in_joints.joints(actions, spec.rest)[0][index], posture, atol=1e-6)


def test_the_policys_view_of_an_observation(spec: EmbodimentSpec, in_joints: EmbodimentAdapter) -> None:
    q = spec.limits.lower + 0.3 * (spec.limits.upper - spec.limits.lower)
    observation = observation_at(spec, q)
    inputs = in_joints.policy_input(observation, "follow the block")
    assert set(inputs) == {
        *(f"video.{camera}" for camera in spec.cameras),
        *(f"state.{group}" for group in spec.groups),
        "language.instruction",
    }
    assert inputs["language.instruction"] == "follow the block"
    for camera in spec.cameras:
        assert inputs[f"video.{camera}"] is observation.frames[camera].image
    # State and action count alike, or a policy could not stay where it is.
    as_actions = {f"action.{group}": inputs[f"state.{group}"][None] for group in spec.groups}
    np.testing.assert_allclose(in_joints.joints(as_actions, spec.rest)[0], q, atol=1e-12)


# End-effector form.


def test_the_state_of_end_effectors(spec: EmbodimentSpec, by_ends: EmbodimentAdapter, model: Model) -> None:
    q = wandering(spec, 3)[ROWS // 2]
    inputs = by_ends.policy_input(observation_at(spec, q), "")
    for side in spec.end_effectors:
        expected = model.poses(q[None], side)[0]
        position, rotation = (inputs[f"state.{side}_end_effector_{name}"] for name in ("position", "rotation"))
        np.testing.assert_allclose(position, expected[:3, 3], atol=1e-9)
        np.testing.assert_allclose(from_axis_angle(rotation), expected[:3, :3], atol=1e-9)
    for name in spec.groups:
        np.testing.assert_allclose(inputs[f"state.{name}"].shape, (len(spec.groups[name].joints),))


@pytest.mark.parametrize("form", ["quaternion_wxyz", "quaternion_xyzw", "euler_xyz", "rotation_6d", "matrix"])
def test_rotations_in_the_form_that_the_policy_asks_for(
    spec: EmbodimentSpec, model: Model, form: RotationInput
) -> None:
    robot = joint_entry(spec)
    side, end = next(iter(spec.end_effectors.items()))
    key = msgspec.structs.replace(next(iter(robot.state.values())), slots=end.rotation, rotation=form)
    adapter = EmbodimentAdapter(spec, msgspec.structs.replace(robot, state={"turn": key}))
    for seed in range(3):
        q = wandering(spec, seed)[ROWS // 2]
        value = adapter.policy_input(observation_at(spec, q), "")["state.turn"]
        assert value.shape == (rotation_width(form),)
        expected = model.poses(q[None], side)[0, :3, :3]
        np.testing.assert_allclose(from_axis_angle(axis_angle(value[None], form))[0], expected, atol=1e-7)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_displacements_lead_along_the_same_poses(
    spec: EmbodimentSpec, by_ends: EmbodimentAdapter, model: Model, seed: int
) -> None:
    before, joints = bent(spec), wandering(spec, seed)
    counted = by_ends.statistics()
    back = by_ends.joints(single_precision(by_ends.actions(joints, before)), before)
    assert missed(by_ends, counted) == 0
    for side in spec.end_effectors:
        distance, angle = apart(model.poses(back, side), model.poses(joints, side))
        assert distance < NEAR[0]
        assert angle < NEAR[1]
    others = [i for i in range(len(spec.joints)) if i not in moved_by_inverse_kinematics(spec)]
    np.testing.assert_allclose(back[:, others], joints[:, others], atol=1e-5)


def test_no_displacement_holds(spec: EmbodimentSpec, by_ends: EmbodimentAdapter) -> None:
    for q in (bent(spec), spec.rest):
        joints = by_ends.joints(staying(spec, by_ends, q), q)
        np.testing.assert_allclose(joints, np.repeat(q[None], ROWS, axis=0), atol=1e-6)


def test_a_straight_line_is_tracked(spec: EmbodimentSpec, by_ends: EmbodimentAdapter, model: Model) -> None:
    start = bent(spec)
    for direction in np.eye(3):
        counted, chunk = by_ends.statistics(), staying(spec, by_ends, start)
        for side in spec.end_effectors:
            chunk[f"action.{side}_end_effector_position"] += (0.001 * direction).astype(np.float32)
        joints = by_ends.joints(chunk, start)
        for side in spec.end_effectors:
            line = np.repeat(model.poses(start[None], side), ROWS, axis=0)
            line[:, :3, 3] += 0.001 * np.arange(1, ROWS + 1)[:, None] * direction
            distance, angle = apart(model.poses(joints, side), line)
            if missed(by_ends, counted):
                # Five joints cannot keep a rotation in every direction; they must not run away for it.
                assert len(moved_by_inverse_kinematics(spec)) < 6
                assert distance < 0.02
            else:
                assert distance < NEAR[0]
                assert angle < NEAR[1]


def test_each_side_moves_by_its_own_displacements(
    spec: EmbodimentSpec, by_ends: EmbodimentAdapter, model: Model
) -> None:
    start = bent(spec)
    for moving in spec.end_effectors:
        chunk = staying(spec, by_ends, start)
        chunk[f"action.{moving}_end_effector_position"][:, 2] = 0.001
        joints = by_ends.joints(chunk, start)
        for side in spec.end_effectors:
            went = (model.poses(joints[-1:], side) - model.poses(start[None], side))[0, 2, 3]
            assert went == pytest.approx(0.001 * ROWS if side == moving else 0.0, abs=NEAR[0])


def test_a_turn_is_about_the_end_effector_along_the_axes_of_the_base(
    spec: EmbodimentSpec, by_ends: EmbodimentAdapter, model: Model
) -> None:
    start, turn = bent(spec), 0.01 * np.array([0.0, 0.0, 1.0])
    counted, chunk = by_ends.statistics(), staying(spec, by_ends, start)
    for side in spec.end_effectors:
        chunk[f"action.{side}_end_effector_rotation"] += turn.astype(np.float32)
    joints = by_ends.joints(chunk, start)
    if missed(by_ends, counted):
        assert len(moved_by_inverse_kinematics(spec)) < 6
        return
    for side in spec.end_effectors:
        expected = np.repeat(model.poses(start[None], side), ROWS, axis=0)
        expected[:, :3, :3] = from_axis_angle(np.arange(1, ROWS + 1)[:, None] * turn) @ expected[:, :3, :3]
        distance, angle = apart(model.poses(joints, side), expected)
        assert distance < NEAR[0]
        assert angle < NEAR[1]


@pytest.mark.parametrize("size", [0.3, 1e3, 1e30])
def test_absurd_displacements_stay_within_the_limits(
    spec: EmbodimentSpec, by_ends: EmbodimentAdapter, size: float
) -> None:
    start, random = bent(spec), np.random.default_rng(4)
    chunk = staying(spec, by_ends, start)
    for name, values in chunk.items():
        if "end_effector" in name:
            values[:] = size * random.uniform(-1, 1, values.shape)
    counted = by_ends.statistics()
    moved = moved_by_inverse_kinematics(spec)
    joints = by_ends.joints(chunk, start)[:, moved]
    assert missed(by_ends, counted) > 0
    assert (joints >= spec.limits.lower[moved]).all()
    assert (joints <= spec.limits.upper[moved]).all()
    steps = np.abs(np.diff(joints, axis=0, prepend=start[None, moved]))
    assert (steps <= spec.limits.velocity[moved] / spec.action_hz + 1e-9).all()


@pytest.mark.parametrize("delay", [1, 5, ROWS])
def test_rows_before_the_delay_are_not_looked_at(
    spec: EmbodimentSpec, by_ends: EmbodimentAdapter, in_joints: EmbodimentAdapter, delay: int
) -> None:
    before = bent(spec)
    for adapter in (by_ends, in_joints):
        chunk = single_precision(adapter.actions(wandering(spec, 7), before))
        broken = {name: values.copy() for name, values in chunk.items()}
        for values in broken.values():
            values[:delay] = np.nan
        joints = adapter.joints(broken, before, delay)
        np.testing.assert_array_equal(joints, adapter.joints(chunk, before, delay))
        np.testing.assert_array_equal(joints[:delay], np.repeat(before[None], delay, axis=0))
        own = adapter.joints({name: values[delay:] for name, values in chunk.items()}, before)
        np.testing.assert_array_equal(joints[delay:], own)


def test_the_row_before_is_where_displacements_begin(
    spec: EmbodimentSpec, by_ends: EmbodimentAdapter, model: Model
) -> None:
    chunk = staying(spec, by_ends, bent(spec))
    for seed in (0, 1):
        before = wandering(spec, seed)[ROWS // 2]
        joints = by_ends.joints(chunk, before, 3)
        for side in spec.end_effectors:
            there = np.repeat(model.poses(before[None], side), ROWS, axis=0)
            distance, angle = apart(model.poses(joints, side), there)
            assert distance < NEAR[0]
            assert angle < NEAR[1]


def test_a_policy_gone_wrong_does_not_pass_for_one_that_stays(spec: EmbodimentSpec, by_ends: EmbodimentAdapter) -> None:
    start = bent(spec)
    for name, bad in (("position", np.nan), ("rotation", np.inf)):
        chunk, side = staying(spec, by_ends, start), next(iter(spec.end_effectors))
        chunk[f"action.{side}_end_effector_{name}"][5, 1] = bad
        counted = by_ends.statistics()
        joints = by_ends.joints(chunk, start, 2)
        assert not np.isfinite(joints[2:, moved_by_inverse_kinematics(spec)]).any()
        assert np.isfinite(joints[:2]).all()
        assert by_ends.statistics()["invalid"] == counted["invalid"] + ROWS - 2


def test_end_effectors_are_displaced_in_their_slots(spec: EmbodimentSpec, by_ends: EmbodimentAdapter) -> None:
    ends = spec.end_effectors.values()
    expected = [slot for end in ends for slots in (end.position, end.rotation) for slot in range(*slots)]
    assert sorted(by_ends.displacement_slots.tolist()) == sorted(expected)
