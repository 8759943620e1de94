"""What other papers' policies predict, to joints and back: camera frames, wrist poses, human hands, fingertips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.embodiments.robots import ROWS, Model, apart, bent, franka_with_gripper, single_precision, wandering
from tests.one_line import refused
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.adapter_hands import hand_groups
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.settings import robot_settings
from unichunk.embodiments.spec import RampFallback
from unichunk.kinematics.retarget import average_hand
from unichunk.kinematics.robot_model import frame_index
from unichunk.kinematics.rotation import from_axis_angle, from_rows_6d
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.key_form import form_complaints
from unichunk.runtime.policy.manifest import Key, NoNormalization

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

NEAR = (2e-3, 0.02)
CAMERAS = {"fr3_inspire": "front", "adam_u": "head_left", "rm75_xhand": "head"}
"""On Adam-U's neck, which moves; beside the others."""
ROBOTS = list(CAMERAS)
seeds = st.integers(0, 2**31 - 1)
few = settings(max_examples=5, deadline=None)


def key(slots: tuple[int, int], **fields: Any) -> Key:
    return Key(slots=slots, normalization=NoNormalization(), **fields)


@dataclass
class Told:
    """A robot whose end effectors, hands, or both are told in some form; the rest in joint form."""

    spec: EmbodimentSpec
    adapter: EmbodimentAdapter
    model: Model


@cache
def told(robot: str, ends: str = "", hands: str = "", camera: str = "base") -> Told:
    spec = load_spec(robot)
    entry = joint_entry(spec)
    action = dict(entry.action)
    if ends == "pose" and camera != "base" and spec.cameras[camera].mount != "base":
        for group in ("head", "waist"):
            action.pop(group, None)
    for side, end in spec.end_effectors.items():
        if ends:
            for group in end.groups:
                action.pop(group, None)
        start = end.position[0]
        if ends == "step":
            action[f"{side}_wrist"] = key((start, start + 6), frame=camera)
        elif ends == "pose":
            action[f"{side}_wrist"] = key((start, start + 9), form="pose", rotation="rotation_6d", frame=camera)
        for group in hand_groups(spec, side) if hands else ():
            action.pop(group)
        if hands:
            first = 110 if side == "right" else 155
            action[f"{side}_human"] = key((first, first + (45 if hands == "human_joints" else 15)), form=hands)
    adapter = EmbodimentAdapter(spec, msgspec.structs.replace(entry, action=action))
    return Told(spec, adapter, Model(spec))


def camera_in_base(spec: EmbodimentSpec, name: str, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pose of a camera, from where it stands and looks."""
    camera, model = spec.cameras[name], Model(spec)
    z = np.subtract(camera.look_at, camera.position)
    z /= np.linalg.norm(z)
    down = -(np.array(camera.up) - z * np.dot(camera.up, z))
    y = down / np.linalg.norm(down)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([np.cross(y, z), y, z], axis=1), camera.position
    if camera.mount == "base":
        return pose
    model.poses(q[None], next(iter(spec.end_effectors)))
    mount = frame_index(model.model, camera.mount)
    pin.updateFramePlacements(model.model, model.data)
    return np.asarray(model.data.oMf[mount].homogeneous @ pose)


@pytest.mark.parametrize("robot", ROBOTS)
@few
@given(seed=seeds, ends=st.sampled_from(["step", "pose"]), seen=st.booleans())
def test_wrists_lead_along_the_same_poses(robot: str, seed: int, ends: str, *, seen: bool) -> None:
    it = told(robot, ends, camera=CAMERAS[robot] if seen else "base")
    before, joints = bent(it.spec), wandering(it.spec, seed)
    # The camera is where the row before has it, so what carries it stays.
    for group in ("head", "waist"):
        if group in it.spec.groups:
            joints[:, it.spec.joint_index(group)] = before[it.spec.joint_index(group)]
    back = it.adapter.joints(single_precision(it.adapter.actions(joints, before)), before)
    for side in it.spec.end_effectors:
        distance, angle = apart(it.model.poses(back, side), it.model.poses(joints, side))
        assert distance < NEAR[0]
        assert angle < NEAR[1]


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_displacements_are_along_the_axes_of_the_camera(robot: str, axis: int) -> None:
    it = told(robot, "step", camera=CAMERAS[robot])
    start = bent(it.spec)
    if "head" in it.spec.groups:
        start[it.spec.joint_index("head")] += 0.3
    frame = camera_in_base(it.spec, CAMERAS[robot], start)[:3, :3]
    chunk = single_precision(it.adapter.actions(np.repeat(start[None], ROWS, axis=0), start))
    for side in it.spec.end_effectors:
        chunk[f"action.{side}_wrist"][:] = 0
        chunk[f"action.{side}_wrist"][:, axis] = 0.001
        chunk[f"action.{side}_wrist"][:, 3 + (axis + 1) % 3] = 0.005
    joints = it.adapter.joints(chunk, start)
    for side in it.spec.end_effectors:
        begin, end = it.model.poses(np.stack([start, joints[-1]]), side)
        np.testing.assert_allclose(end[:3, 3] - begin[:3, 3], 0.001 * ROWS * frame[:, axis], atol=NEAR[0])
        turn = from_axis_angle(0.005 * ROWS * frame[:, (axis + 1) % 3])
        assert apart(end[None], np.block([[turn @ begin[:3, :3], end[:3, 3:]], [np.eye(4)[3:]]])[None])[1] < NEAR[1]


@pytest.mark.parametrize("robot", ROBOTS)
@few
@given(seed=seeds, seen=st.booleans())
def test_a_wrist_pose_is_where_the_wrist_goes_wherever_it_comes_from(robot: str, seed: int, *, seen: bool) -> None:
    camera = CAMERAS[robot] if seen else "base"
    it = told(robot, "pose", camera=camera)
    before = bent(it.spec)
    goal = wandering(it.spec, seed)
    for group in ("head", "waist"):
        if group in it.spec.groups:
            goal[:, it.spec.joint_index(group)] = before[it.spec.joint_index(group)]
    chunk = single_precision(it.adapter.actions(goal, before))
    frame = camera_in_base(it.spec, camera, before) if seen else np.eye(4)
    for side in it.spec.end_effectors:
        wrist = chunk[f"action.{side}_wrist"].astype(np.float64)
        poses = np.tile(np.eye(4), (ROWS, 1, 1))
        poses[:, :3, 3], poses[:, :3, :3] = wrist[:, :3], from_rows_6d(wrist[:, 3:])
        distance, angle = apart(frame @ poses, it.model.poses(goal, side))
        assert distance < 1e-5
        assert angle < 1e-5
    # Half of the way the robot stands elsewhere than the plan had it: absolute rows do not care.
    again = it.adapter.joints({name: values[4:] for name, values in chunk.items()}, goal[2])
    for side in it.spec.end_effectors:
        assert apart(it.model.poses(again[2:], side), it.model.poses(goal[6:], side))[0] < NEAR[0]


@pytest.mark.parametrize("robot", [*ROBOTS, "g1_o6", "sharpa"])
@few
@given(data=st.data())
def test_hands_follow_a_human_hand_joint_by_joint(robot: str, data: st.DataObject) -> None:
    it = told(robot, hands="human_joints")
    shares = st.floats(0.05, 0.95)
    lower, upper = it.spec.limits.lower, it.spec.limits.upper
    joints = lower + (upper - lower) * np.array([[data.draw(shares) for _ in lower] for _ in range(3)])
    actions = it.adapter.actions(joints, it.spec.rest)
    back = it.adapter.joints(single_precision(actions), it.spec.rest)
    assert (back >= lower - 1e-5).all()
    assert (back <= upper + 1e-5).all()
    again = it.adapter.actions(back, it.spec.rest)
    for name, values in actions.items():
        np.testing.assert_allclose(again[name], values, atol=1e-4)
    held = np.abs(back - joints).max(axis=0) > 1e-4
    # Sharpa's metacarpal joints have no human counterpart, and stay where the table holds them.
    assert held.sum() <= (3 if robot == "sharpa" else 0)


@pytest.mark.parametrize("robot", ["fr3_inspire", "g1_o6", "rm75_xhand"])
@few
@given(seed=seeds)
def test_fingertips_go_where_they_are_told(robot: str, seed: int) -> None:
    it = told(robot, hands="fingertips")
    joints = wandering(it.spec, seed, share=0.5)
    before = bent(it.spec)
    chunk = single_precision(it.adapter.actions(joints, before))
    back = it.adapter.joints(chunk, before)
    again = it.adapter.actions(back, before)
    for name, values in chunk.items():
        np.testing.assert_allclose(again[name], values, atol=4e-3 if "human" in name else 1e-5)
    for side in it.spec.end_effectors:
        tips = chunk[f"action.{side}_human"].reshape(ROWS, 5, 3)
        # A human hand: a wrist's length away, and the thumb on its own side of the fingers.
        assert 0.05 < np.linalg.norm(tips, axis=2).min() < np.linalg.norm(tips, axis=2).max() < 0.25


def test_an_open_hand_is_an_open_human_hand() -> None:
    """Whatever the robot's palm is called and however large it is: fingertips are those of a human of average size."""
    it = told("fr3_inspire", hands="fingertips")
    open_hand = it.spec.rest.copy()
    open_hand[it.spec.joint_index("right_hand")] = it.spec.groups["right_hand"].open
    tips = it.adapter.actions(open_hand[None], open_hand)["action.right_human"].reshape(5, 3)
    apart_by = np.linalg.norm(tips - average_hand("right").landmarks().fingertips, axis=1)
    assert apart_by[1:].max() < 0.03
    assert apart_by[0] < 0.08


@pytest.mark.parametrize(("ends", "hands"), [("step", ""), ("pose", ""), ("", "human_joints"), ("", "fingertips")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_policy_gone_wrong_does_not_pass_for_one_that_stays(ends: str, hands: str, bad: float) -> None:
    it = told("rm75_xhand", ends, hands, CAMERAS["rm75_xhand"] if ends else "base")
    start = bent(it.spec)
    chunk = single_precision(it.adapter.actions(np.repeat(start[None], ROWS, axis=0), start))
    name = "action.right_wrist" if ends else "action.right_human"
    chunk[name][5, :3] = bad
    joints = it.adapter.joints(chunk, start, 2)
    assert np.isfinite(joints[:2]).all()
    assert not np.isfinite(joints[5]).all()


def test_a_rotation_that_is_none_is_not_followed() -> None:
    it = told("rm75_xhand", "pose")
    start = bent(it.spec)
    chunk = single_precision(it.adapter.actions(np.repeat(start[None], ROWS, axis=0), start))
    chunk["action.right_wrist"][3, 3:] = 0
    assert not np.isfinite(it.adapter.joints(chunk, start)[3]).all()


def test_only_displacements_mean_stay_where_they_are_zero() -> None:
    assert sorted(told("rm75_xhand", "step").adapter.displacement_slots) == [0, 1, 2, 3, 4, 5]
    for forms in (("pose", ""), ("", "human_joints"), ("", "fingertips")):
        assert told("rm75_xhand", *forms).adapter.displacement_slots.size == 0
        assert told("rm75_xhand", *forms).adapter.kinematic
    assert not told("rm75_xhand").adapter.kinematic


def test_no_ramp_goes_with_what_takes_kinematics() -> None:
    it = told("rm75_xhand", hands="fingertips")
    spec = msgspec.structs.replace(it.spec, fallback=RampFallback(velocity_fraction=0.2))
    with refused(SpecError, "ramp does not go with a policy in end-effector form"):
        robot_settings(spec, None, it.adapter)  # type: ignore[arg-type]  (refused before it is looked at)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"hand": key((20, 35), form="fingertips")}, ("action.hand (fingertips) in slots 20-35", "110-155 (right)")),
        (
            {"hand": key((155, 200), form="human_joints")},
            ("action.hand (human_joints) in slots 155-200", "fr3_inspire"),
        ),
        (
            {"at": key((0, 3), form="pose"), "turn": key((3, 6))},
            ("action.at and action.turn tell the right end effector of fr3_inspire in two ways",),
        ),
        (
            {"at": key((0, 3), frame="front"), "turn": key((3, 6), frame="side")},
            ("action.at and action.turn tell the right end effector of fr3_inspire in two ways",),
        ),
        (
            {"wrist": key((0, 6)), "hand": key((110, 125), form="fingertips"), "right_hand": key((20, 26))},
            ("action.right_hand and another action both move right_hand",),
        ),
    ],
)
def test_actions_that_the_robot_cannot_take(action: dict[str, Key], words: tuple[str, ...]) -> None:
    spec = load_spec("fr3_inspire")
    entry = msgspec.structs.replace(joint_entry(spec), action=action)
    with refused(BundleError, *words):
        EmbodimentAdapter(spec, entry)


@pytest.mark.parametrize("group", ["head", "waist"])
def test_poses_in_the_picture_of_a_camera_that_the_policy_moves(group: str) -> None:
    """Between two chunks the wrists would jump by what the camera moved."""
    spec, entry = load_spec("adam_u"), joint_entry(load_spec("adam_u"))
    wrists = {
        f"{side}_wrist": key(
            (end.position[0], end.position[0] + 9), form="pose", rotation="rotation_6d", frame=CAMERAS["adam_u"]
        )
        for side, end in spec.end_effectors.items()
    }
    hands = {name: entry.action[name] for side in spec.end_effectors for name in hand_groups(spec, side)}
    EmbodimentAdapter(spec, msgspec.structs.replace(entry, action={**wrists, **hands}))
    action = {**wrists, **hands, group: entry.action[group]}
    with refused(
        BundleError, "action.right_wrist are poses in the picture of 'head_left', which", f"action.{group} moves"
    ):
        EmbodimentAdapter(spec, msgspec.structs.replace(entry, action=action))


def test_fingertips_of_a_robot_that_has_none() -> None:
    spec = franka_with_gripper()
    action = {"arm": key((50, 57)), "gripper": key((18, 19)), "hand": key((110, 125), form="fingertips")}
    with refused(BundleError, "action.hand (fingertips)", "franka has"):
        EmbodimentAdapter(spec, msgspec.structs.replace(joint_entry(spec), action=action))


@pytest.mark.parametrize(
    ("section", "given", "words"),
    [
        ("action", key((0, 9), form="pose", rotation="rotation_6d"), ""),
        ("action", key((0, 6), form="pose", frame="front"), ""),
        ("state", key((110, 155), form="human_joints"), ""),
        (
            "action",
            key((0, 8), form="pose", rotation="rotation_6d"),
            "6 (rotation as rotation_6d) or both slots, it has 8",
        ),
        ("state", key((0, 6), form="pose"), "form 'pose' is for actions"),
        ("action", key((110, 154), form="human_joints"), "form 'human_joints' has 45 values, its slots are 44"),
        ("action", key((110, 122), form="fingertips"), "form 'fingertips' has 15 values, its slots are 12"),
        ("action", key((0, 6), frame="top"), "frame 'top' is no camera of this robot, expected base or front, side"),
        ("state", key((0, 6), frame="front"), "frame 'front' is for actions of an end effector, expected 'base'"),
    ],
)
def test_forms_and_what_goes_with_them(section: str, given: Key, words: str) -> None:
    found = list(form_complaints("key", section, given, ("front", "side")))
    assert len(found) == bool(words)
    assert words in "".join(found)
