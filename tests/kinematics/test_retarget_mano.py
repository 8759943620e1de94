"""The human hand: order and frames of MANO's joints, angles, skeletons and their files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.kinematics.retarget_hands import bent
from unichunk.kinematics.errors import WrongShape
from unichunk.kinematics.retarget import (
    FINGERS,
    MANO_JOINTS,
    HandSkeleton,
    RetargetError,
    average_hand,
    joint_angles,
    joint_rotations,
    mirrored,
)
from unichunk.kinematics.rotation import about_axis, from_axis_angle, from_rpy

SIDES = ["right", "left"]
MIRROR = np.array([-1.0, 1.0, 1.0])
REST = np.zeros((15, 3))


def hands(largest):
    return arrays(np.float64, (15, 3), elements=st.floats(-largest, largest, width=32))


def tip(skeleton, finger, rotations):
    return skeleton.fingertip_positions(rotations)[FINGERS.index(finger)]


def test_the_joints_are_in_the_order_of_mano_and_the_fingers_in_that_of_people():
    assert " ".join(MANO_JOINTS) == (
        "index1 index2 index3 middle1 middle2 middle3 pinky1 pinky2 pinky3 ring1 ring2 ring3 thumb1 thumb2 thumb3"
    )
    assert FINGERS == ("thumb", "index", "middle", "ring", "pinky")


@pytest.mark.parametrize("side", SIDES)
def test_without_rotation_joints_and_fingertips_are_at_rest(side):
    skeleton = average_hand(side)
    np.testing.assert_array_equal(skeleton.joint_positions(REST), skeleton.joints)
    np.testing.assert_allclose(skeleton.fingertip_positions(REST), skeleton.fingertips, atol=1e-15)


@given(rotations=hands(4.0))
def test_fingertips_are_where_a_chain_of_homogeneous_transforms_ends(rotations):
    skeleton = average_hand("right")
    positions, tips = skeleton.joint_positions(rotations), skeleton.fingertip_positions(rotations)
    for number, finger in enumerate(FINGERS):
        pose, end = np.eye(4), np.zeros(3)
        for joint in (MANO_JOINTS.index(f"{finger}{i}") for i in (1, 2, 3)):
            step = np.eye(4)
            step[:3, 3] = skeleton.joints[joint] - end
            angle = np.linalg.norm(rotations[joint])
            axis = rotations[joint] / angle if angle > 0 else np.array([1.0, 0.0, 0.0])
            pose, end = pose @ step @ about_axis(axis, angle), skeleton.joints[joint]
            np.testing.assert_allclose(positions[joint], pose[:3, 3], atol=1e-12)
        at_tip = pose @ np.append(skeleton.fingertips[number] - end, 1.0)
        np.testing.assert_allclose(tips[number], at_tip[:3], atol=1e-12)


@given(rotations=hands(4.0))
def test_the_left_hand_is_the_mirror_image_of_the_right_one(rotations):
    right, left = average_hand("right"), average_hand("left")
    np.testing.assert_allclose(
        left.fingertip_positions(mirrored(rotations)), right.fingertip_positions(rotations) * MIRROR, atol=1e-15
    )
    np.testing.assert_allclose(
        left.joint_positions(mirrored(rotations)), right.joint_positions(rotations) * MIRROR, atol=1e-15
    )
    np.testing.assert_array_equal(mirrored(mirrored(rotations)), rotations)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("motion", "axis", "sign"),
    [
        ("index1_flexion", 1, -1),
        ("pinky2_flexion", 1, -1),
        ("middle3_flexion", 1, -1),
        ("index1_abduction", 2, 1),
        ("pinky1_abduction", 2, 1),
        ("thumb1_opposition", 1, -1),
        ("thumb1_flexion", 2, -1),
        ("thumb2_flexion", 2, -1),
        ("thumb3_flexion", 2, -1),
    ],
)
def test_motions_move_the_fingertip_where_their_names_say(side, motion, axis, sign):
    """To the palm (-y) or to the thumb's side (+z)."""
    skeleton, finger = average_hand(side), motion.split("_")[0][:-1]
    moved = tip(skeleton, finger, bent(side, **{motion: 0.2})) - tip(skeleton, finger, REST)
    assert sign * moved[axis] > 0.002


def test_batches_have_any_leading_axes():
    skeleton = average_hand("right")
    rotations = np.random.default_rng(0).normal(size=(4, 7, 15, 3))
    assert skeleton.fingertip_positions(rotations).shape == (4, 7, 5, 3)
    assert skeleton.joint_positions(rotations).shape == (4, 7, 15, 3)
    assert joint_angles(rotations, "left").shape == (4, 7, 15, 3)
    np.testing.assert_array_equal(
        skeleton.fingertip_positions(rotations)[2, 3], skeleton.fingertip_positions(rotations[2, 3])
    )
    assert skeleton.fingertip_positions(np.zeros((0, 15, 3))).shape == (0, 5, 3)


def test_a_rotation_that_is_no_number_spoils_its_finger_only():
    rotations = REST.copy()
    rotations[MANO_JOINTS.index("ring2")] = np.nan
    finite = np.isfinite(average_hand("right").fingertip_positions(rotations)).all(axis=-1)
    assert [finger for finger, good in zip(FINGERS, finite, strict=True) if not good] == ["ring"]


@given(rotations=hands(7.0))
def test_angles_are_those_of_the_same_rotation_wherever_it_is(rotations):
    angles = joint_angles(rotations, "right")
    np.testing.assert_allclose(from_rpy(angles), from_axis_angle(rotations), atol=1e-9)
    assert (np.abs(angles) <= np.pi).all()


@given(angles=hands(1.5), side=st.sampled_from(SIDES))
def test_angles_to_rotations_and_back_is_exact(angles, side):
    np.testing.assert_allclose(joint_angles(joint_rotations(angles, side), side), angles, atol=1e-9)


def test_angles_of_the_left_hand_are_those_of_the_right_hand_in_the_same_posture():
    rotations = np.random.default_rng(5).normal(size=(20, 15, 3))
    np.testing.assert_allclose(joint_angles(mirrored(rotations), "left"), joint_angles(rotations, "right"))


def test_the_thumbs_flexion_is_followed_through_a_quarter_turn_and_beyond():
    flexion = np.concatenate([np.linspace(-3.0, 3.0, 601), [np.pi / 2, -np.pi / 2]])
    rotations = np.zeros((len(flexion), 15, 3))
    rotations[:, 13, 1] = flexion
    expected = np.zeros((len(flexion), 3))
    expected[:, 1] = flexion
    np.testing.assert_allclose(joint_angles(rotations, "right")[:, 13], expected, atol=1e-7)


def test_at_the_quarter_turn_the_twist_is_nought_and_the_rotation_kept():
    angles = np.zeros((15, 3))
    angles[12] = [0.0, np.pi / 2, 0.4]
    found = joint_angles(joint_rotations(angles, "right"), "right")[12]
    np.testing.assert_allclose(found, [0.0, np.pi / 2, 0.4], atol=1e-7)


@pytest.mark.parametrize(
    "call", [lambda: joint_angles(np.zeros(45), "right"), lambda: joint_rotations([[0, 0]], "left")]
)
def test_wrong_shapes_are_refused_with_both_shapes(call):
    with pytest.raises(WrongShape, match=r"expected shape \(\.\.\., 15, 3\), got"):
        call()


def test_the_average_hand_is_as_long_as_asked_and_has_the_published_proportions():
    hand = average_hand("right", hand_length=0.2, hand_breadth=0.09)
    assert -tip(hand, "middle", REST)[0] == pytest.approx(0.2, rel=0.02)
    index = hand.joints[:3]
    assert np.linalg.norm(np.diff(index, axis=0), axis=1) == pytest.approx([0.245 * 0.2, 0.143 * 0.2])
    assert (hand.knuckles[1] - hand.knuckles[4])[2] == pytest.approx((0.251 + 0.402) * 0.09)
    longest = sorted(FINGERS, key=lambda finger: tip(hand, finger, REST)[0])
    assert longest == ["middle", "index", "ring", "pinky", "thumb"]


@pytest.mark.parametrize("size", [{"hand_length": 187.0}, {"hand_breadth": float("nan")}])
def test_hands_of_impossible_size_are_refused(size):
    with pytest.raises(RetargetError, match=r"expected 0\.02 to 0\.3"):
        average_hand("right", **size)


def test_a_side_that_is_none_is_refused():
    with pytest.raises(RetargetError, match="'both': expected right or left"):
        average_hand("both")


def as_file(path, skeleton, **changes):
    content = {
        "side": skeleton.side,
        "joints": dict(zip(MANO_JOINTS, skeleton.joints.tolist(), strict=True)),
        "fingertips": dict(zip(FINGERS, skeleton.fingertips.tolist(), strict=True)),
        "source": "a test",
    }
    for key, value in changes.items():
        table, _, name = key.partition("__")
        if name:
            content[table][name] = value
        else:
            content[table] = value
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


@pytest.mark.parametrize("side", SIDES)
def test_a_hand_comes_out_of_a_file_as_it_went_in(tmp_path, side):
    skeleton = average_hand(side, hand_length=0.171)
    loaded = HandSkeleton.load(as_file(tmp_path / "hand.json", skeleton))
    assert loaded.side == side
    np.testing.assert_array_equal(loaded.joints, skeleton.joints)
    np.testing.assert_array_equal(loaded.fingertips, skeleton.fingertips)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"side": "middle"}, r"Invalid enum value 'middle' - at `\$\.side`"),
        ({"side": "left"}, r"left hand's fingertips: expected all of them at positive x"),
        ({"joints": None}, "missing required field `joints`"),
        ({"shape": [0.0]}, "unknown field `shape`"),
        ({"joints__index2": [0.0, 0.0]}, "Expected `array` of length 3"),
        ({"joints__index2": [0.0, "a", 0.0]}, "Expected `float`, got `str`"),
        ({"joints__index4": [0.0, 0.0, 0.0]}, "joints: unknown 'index4', expected index1, index2"),
        ({"fingertips": {"thumb": [-0.1, 0.0, 0.1]}}, "fingertips: index is missing, expected thumb, index"),
        ({"joints__ring3": [-152.0, 0.0, -18.0]}, r"joint ring3: 153\.\d+ m from the wrist, expected less than 0\.4 m"),
        ({"joints__ring3": "-", "joints__ring2": "-"}, "Expected `array`, got `str`"),
    ],
)
def test_a_bad_file_is_refused_with_one_line(tmp_path, changes, complaint):
    path = as_file(tmp_path / "hand.json", average_hand("right"), **changes)
    with pytest.raises(RetargetError, match=complaint) as caught:
        HandSkeleton.load(path)
    assert str(caught.value).startswith(f"hand skeleton {path}: ")
    assert "\n" not in str(caught.value)


def test_two_joints_at_the_same_place_are_refused(tmp_path):
    skeleton = average_hand("right")
    path = as_file(tmp_path / "hand.json", skeleton, joints__ring3=skeleton.joints[MANO_JOINTS.index("ring2")].tolist())
    with pytest.raises(RetargetError, match=r"the bone beyond ring2: 0\.0000 m long"):
        HandSkeleton.load(path)


def test_files_that_cannot_be_read_are_told_in_one_line(tmp_path):
    with pytest.raises(RetargetError, match=r"none\.json: cannot be read \(No such file"):
        HandSkeleton.load(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"side": ')
    with pytest.raises(RetargetError, match=r"cut\.json: Input data was truncated"):
        HandSkeleton.load(tmp_path / "cut.json")
    (tmp_path / "model.pkl").write_bytes(b'"\x80\x04\x95"')
    with pytest.raises(RetargetError, match=r"model\.pkl: ") as caught:
        HandSkeleton.load(tmp_path / "model.pkl")
    assert "\n" not in str(caught.value)
