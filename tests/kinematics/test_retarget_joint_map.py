"""The closest-joint mapping, for every hand that has a table."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.kinematics.retarget_hands import HANDS, MIRRORED, bent, fist, hand_named, map_named, posture, side_of
from tests.one_line import refused
from unichunk.kinematics.errors import UnknownModel, WrongShape
from unichunk.kinematics.retarget import (
    FINGERS,
    MANO_JOINTS,
    JointRule,
    JointTable,
    RetargetError,
    average_hand,
    fit_hand_scale,
    hand_joint_map,
    joint_angles,
    joint_table,
    mapped_hands,
    mirrored,
)
from unichunk.kinematics.retarget.joint_angles import motions
from unichunk.kinematics.robot_model import robot_model

REST = np.zeros((15, 3))

VITRA_XHAND_ORDER = [
    "thumb_joint0",
    "thumb_joint1",
    "thumb_joint2",
    "index_joint0",
    "index_joint1",
    "index_joint2",
    "middle_joint0",
    "middle_joint1",
    "ring_joint0",
    "ring_joint1",
    "pinky_joint0",
    "pinky_joint1",
]
VITRA_XHAND_TO_HUMAN = [
    (10, 8, 1),
    (11, 14, 1),
    (12, 17, 1),
    (13, 23, 1),
    (16, 26, 1),
    (17, 32, 1),
    (14, 35, 1),
    (15, 41, 1),
    (7, 43, -1),
    (6, 44, 1),
    (8, 46, -1),
    (9, 7, 1),
]
"""Place among 6 wrist values and 12 joints, place among 6 wrist values and 45 Euler angles, sign: microsoft/VITRA,
vitra/datasets/robot_dataset.py, commit 64eac3b."""

any_hand = arrays(np.float64, (15, 3), elements=st.floats(-10.0, 10.0, width=32))


@st.composite
def hand_and_positions(draw):
    """A hand's name and positions of its joints within their limits, ends included."""
    name = draw(st.sampled_from(HANDS))
    joint_map = map_named(name)
    share = draw(arrays(np.float64, len(joint_map.joint_names), elements=st.floats(0.0, 1.0)))
    return name, joint_map.lower + share * (joint_map.upper - joint_map.lower)


def followers(name):
    """Which joints of a map follow a human joint."""
    held = {joint.format(side=side_of(name), S=side_of(name)[0].upper()) for joint in joint_table(name).held}
    return [joint not in held for joint in map_named(name).joint_names]


def test_every_table_is_tested():
    assert tuple(HANDS) == mapped_hands()


@pytest.mark.parametrize("name", HANDS)
def test_a_table_has_every_driven_joint_of_its_hand(name):
    assert map_named(name).joint_names == hand_named(name).joint_names


def test_the_xhands_table_is_vitras():
    joint_map = map_named("xhand_right")
    positions = np.random.default_rng(0).uniform(joint_map.lower, joint_map.upper, size=(50, 12))
    vitra = np.zeros((50, 51))
    for robot, human, sign in VITRA_XHAND_TO_HUMAN:
        vitra[:, human] = sign * positions[:, joint_map.joint_names.index(VITRA_XHAND_ORDER[robot - 6])]
    angles = joint_angles(joint_map.to_human(positions), "right").reshape(50, 45)
    np.testing.assert_allclose(angles, vitra[:, 6:], atol=1e-9)


@given(name=st.sampled_from(HANDS), rotations=any_hand)
def test_positions_are_always_finite_and_within_the_limits(name, rotations):
    joint_map = map_named(name)
    positions = joint_map.to_robot(rotations)
    assert np.isfinite(positions).all()
    assert (positions >= joint_map.lower).all()
    assert (positions <= joint_map.upper).all()


@given(case=hand_and_positions())
def test_robot_to_human_to_robot_is_exact_within_the_limits(case):
    name, positions = case
    joint_map = map_named(name)
    found, follows = joint_map.to_robot(joint_map.to_human(positions)), followers(name)
    np.testing.assert_allclose(found[follows], positions[follows], atol=1e-9)


@given(rotations=any_hand, kind=st.sampled_from(MIRRORED))
def test_the_left_hand_does_what_the_right_one_does(rotations, kind):
    right, left = map_named(f"{kind}_right"), map_named(f"{kind}_left")
    of_the_right = dict(zip(right.joint_names, right.to_robot(rotations), strict=True))
    for joint, position in zip(left.joint_names, left.to_robot(mirrored(rotations)), strict=True):
        other = joint.replace("left_", "right_").replace("L_", "R_")
        assert position == pytest.approx(of_the_right[other], abs=1e-12)


@pytest.mark.parametrize("name", HANDS)
def test_an_open_human_hand_opens_the_robots(name):
    np.testing.assert_array_equal(posture(name, REST), hand_named(name).open_hand)


@pytest.mark.parametrize("name", HANDS)
def test_a_fist_bends_every_finger_far(name):
    """One radian is one radian: fingers that bend further than people's (XHand's: 1.92) do not reach their limits."""
    joint_map, side = map_named(name), side_of(name)
    positions = dict(zip(joint_map.joint_names, joint_map.to_robot(fist(side)), strict=True))
    limits = dict(zip(joint_map.joint_names, joint_map.upper, strict=True))
    least = 0.7 if name.startswith("xhand") else 0.9
    for rule in joint_table(name).rules:
        if rule.motion == "flexion" and not rule.human.startswith("thumb"):
            joint = rule.joint.format(side=side, S=side[0].upper())
            assert positions[joint] >= least * limits[joint], joint


@pytest.mark.parametrize("name", HANDS)
def test_more_of_a_motion_never_gives_less_of_it(name):
    joint_map, side = map_named(name), side_of(name)
    for rule in joint_table(name).rules:
        motion = f"{rule.human}_{rule.motion}"
        hands = np.array([bent(side, **{motion: angle}) for angle in np.linspace(-1.5, 2.5, 81)])
        joint = joint_map.joint_names.index(rule.joint.format(side=side, S=side[0].upper()))
        positions = np.sign(rule.scale) * joint_map.to_robot(hands)[:, joint]
        assert (np.diff(positions) >= -1e-9).all(), motion
        span = joint_map.upper[joint] - joint_map.lower[joint]
        assert positions[-1] - positions[0] > 0.99 * min(span, 2.5), motion


@pytest.mark.parametrize("name", HANDS)
def test_a_robots_fingertip_moves_the_way_the_humans_does(name):
    """Signs and joints of the tables against the geometry of both hands, aligned by their open fingers."""
    side, hand, human = side_of(name), hand_named(name), average_hand(side_of(name))
    rotation = fit_hand_scale(human.landmarks(), hand.landmarks()).rotation_source_in_target
    for rule in joint_table(name).rules:
        small = bent(side, **{f"{rule.human}_{rule.motion}": 0.1})
        finger = FINGERS.index(rule.human[:-1])
        humans = rotation @ (human.fingertip_positions(small) - human.fingertips)[finger]
        robots = (hand.fingertips_in_palm(posture(name, small)) - hand.landmarks().fingertips)[finger]
        cosine = humans @ robots / np.linalg.norm(humans) / np.linalg.norm(robots)
        assert cosine > 0.5, (rule.joint, cosine)


@pytest.mark.parametrize("name", HANDS)
def test_joints_follow_each_other_as_those_of_the_human_finger_do(name):
    """The joint next to the palm follows the human one next to the palm, the others follow in their order."""
    joint_map, side = map_named(name), side_of(name)
    for finger in FINGERS:
        followed = {
            joint_map.joint_names.index(rule.joint.format(side=side, S=side[0].upper())): int(rule.human[-1])
            for rule in joint_table(name).rules
            if rule.human[:-1] == finger
        }
        numbers = [followed[place] for place in sorted(followed)]
        assert numbers == sorted(numbers), finger
        assert numbers[0] == 1, finger


def test_what_no_joint_follows_does_not_move_and_what_is_held_stays():
    joint_map = map_named("sharpa_wave_right")
    held = joint_map.joint_names.index("right_pinky_CMC")
    positions = joint_map.to_robot(np.random.default_rng(3).normal(size=(30, 15, 3)))
    np.testing.assert_array_equal(positions[:, held], 0.0)
    human = joint_angles(map_named("o6_right").to_human(map_named("o6_right").upper), "right")
    moving = {joint for joint, angles in zip(MANO_JOINTS, human, strict=True) if np.abs(angles).max() > 1e-9}
    assert moving == {"index1", "middle1", "ring1", "pinky1", "thumb1"}


def test_positions_measured_beyond_a_limit_are_told_as_they_are():
    joint_map = map_named("o6_right")
    positions = joint_map.upper + 0.05
    angles = joint_angles(joint_map.to_human(positions), "right")
    index = joint_map.joint_names.index("index_mcp_pitch")
    assert angles[MANO_JOINTS.index("index1"), 2] == pytest.approx(positions[index])


def test_the_rows_of_a_chunk_are_mapped_on_their_own():
    joint_map = map_named("sharpa_wave_left")
    rotations = np.random.default_rng(1).normal(size=(3, 5, 15, 3))
    positions = joint_map.to_robot(rotations)
    assert positions.shape == (3, 5, 22)
    np.testing.assert_array_equal(positions[2, 4], joint_map.to_robot(rotations[2, 4]))
    assert joint_map.to_human(positions).shape == (3, 5, 15, 3)


def test_a_hand_on_a_robot_is_mapped_to_the_robots_joints():
    model = robot_model("g1_o6")
    on_robot, alone = hand_joint_map("o6_left", model, prefix="left_"), map_named("o6_left")
    assert on_robot.joint_names == tuple(f"left_{joint}" for joint in alone.joint_names)
    np.testing.assert_array_equal(on_robot.to_robot(fist("left")), alone.to_robot(fist("left")))
    q = np.zeros(model.nq)
    q[on_robot.q_index] = 1.0
    assert q.sum() == 6
    np.testing.assert_array_equal(model.upperPositionLimit[on_robot.q_index], alone.upper)


def test_a_table_of_ones_own_has_its_own_scale():
    table = JointTable(
        hands=("o6_right",),
        source="a test",
        rules=(JointRule(joint="index_mcp_pitch", human="index2", motion="flexion", scale=0.5),),
        held={"thumb_cmc_yaw": 1.0},
    )
    joint_map = hand_joint_map("o6_right", hand_named("o6_right").model, table=table)
    assert joint_map.joint_names == ("index_mcp_pitch", "thumb_cmc_yaw")
    np.testing.assert_allclose(joint_map.to_robot(bent("right", index2_flexion=0.8, index1_flexion=1.5)), [0.4, 1.0])
    np.testing.assert_allclose(joint_map.to_human([0.4, 1.0]), bent("right", index2_flexion=0.8), atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_a_human_joint_that_is_no_number_leaves_its_followers_nan_and_nothing_else(bad):
    joint_map, rotations = map_named("o6_right"), np.random.default_rng(2).normal(0.0, 0.3, size=(4, 15, 3))
    wanted = joint_map.to_robot(rotations)
    rotations[2, MANO_JOINTS.index("thumb1"), 1] = bad
    found, thumb = joint_map.to_robot(rotations), [name.startswith("thumb") for name in joint_map.joint_names]
    assert sum(thumb) == 2
    wanted[2, thumb] = np.nan
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_robots_joint_that_is_no_number_leaves_its_human_joint_nan_and_nothing_else(bad):
    joint_map = map_named("sharpa_wave_right")
    positions = np.tile((joint_map.lower + joint_map.upper) / 2, (4, 1))
    wanted = joint_map.to_human(positions)
    positions[1, joint_map.joint_names.index("right_index_MCP_FE")] = bad
    positions[3, joint_map.joint_names.index("right_pinky_CMC")] = bad
    wanted[1, MANO_JOINTS.index("index1")] = np.nan
    np.testing.assert_array_equal(joint_map.to_human(positions), wanted)


@given(
    rotations=arrays(np.float64, (2, 15, 3), elements=st.floats()),
    positions=arrays(np.float64, (2, 12), elements=st.floats()),
)
def test_no_numbers_raise_or_warn(rotations, positions):
    joint_map = map_named("xhand_right")
    joint_map.to_human(positions)
    found = joint_map.to_robot(rotations)
    finite = np.isfinite(found)
    assert (np.clip(found, joint_map.lower, joint_map.upper) == found)[finite].all()


def test_wrong_shapes_are_refused():
    joint_map = map_named("o6_right")
    with refused(WrongShape, "rotations", "(..., 15, 3)", "(45,)"):
        joint_map.to_robot(np.zeros(45))
    with refused(WrongShape, "joint positions of the hand", "(..., 6)", "(3, 7)"):
        joint_map.to_human(np.full((3, 7), np.nan))


def test_hands_and_joints_that_do_not_exist_are_refused_with_what_does():
    model = hand_named("o6_right").model
    with pytest.raises(UnknownModel, match=r"no joint map for hand 'o6': .*o6_right"):
        hand_joint_map("o6", model)
    with pytest.raises(UnknownModel, match=r"o6_right has no driven joint 'R_\w+': expected one of|did you mean"):
        hand_joint_map("inspire_right", model)
    table = JointTable(("o6_right",), "a test", (JointRule("index_dip", "index3", "flexion"),))
    with pytest.raises(UnknownModel, match=r"no driven joint 'index_dip'"):
        hand_joint_map("o6_right", model, table=table)


@pytest.mark.parametrize(
    ("rules", "held", "complaint"),
    [
        ([("a", "index4", "flexion", 1.0)], {}, r"a: unknown human joint 'index4', expected one of index1"),
        ([("a", "index1", "opposition", 1.0)], {}, r"a: index1 has no opposition, expected one of flexion, abduction"),
        ([("a", "thumb1", "flexion", 0.0)], {}, r"a: scale 0\.0, expected a number other than 0"),
        ([("a", "thumb1", "flexion", float("nan"))], {}, r"a: scale nan, expected"),
        ([("a", "index1", "flexion", 1.0), ("b", "index1", "flexion", 1.0)], {}, r"a and b both follow the flexion of"),
        ([("a", "index1", "flexion", 1.0), ("a", "index2", "flexion", 1.0)], {}, r"a is in it 2 times, expected once"),
        ([("a", "index1", "flexion", 1.0)], {"a": 0.0}, r"a is in it 2 times, expected once"),
        ([], {"a": float("nan")}, r"a is held at nan, expected a finite number"),
    ],
)
def test_tables_that_contradict_themselves_are_refused_in_one_line(rules, held, complaint):
    table = JointTable(("x_right",), "a test", tuple(JointRule(*rule) for rule in rules), held)
    with pytest.raises(RetargetError, match=f"^joint table of x_right: {complaint}"):
        hand_joint_map("x_right", hand_named("o6_right").model, table=table)


def test_a_hand_without_a_side_is_refused():
    table = JointTable(("hand",), "a test", ())
    with pytest.raises(RetargetError, match="hand side 'hand': expected right or left"):
        hand_joint_map("hand", hand_named("o6_right").model, table=table)


def test_tables_are_read_strictly():
    text = b'{"hands": ["x_right"], "source": "", "rules": [{"joint": "a", "human": "index1", "motion": "curl"}]}'
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'curl'"):
        msgspec.json.decode(text, type=JointTable)


@pytest.mark.parametrize("joint", MANO_JOINTS)
def test_every_human_joint_has_a_motion_of_each_free_component(joint):
    components = [component for component, _ in motions(joint).values()]
    assert sorted(components) == [1, 2]
