"""Fingertips of one hand to the joints of another, and the scale between hands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.kinematics.retarget_hands import HANDS, MIRRORED, bent, fist, hand_named, map_named, posture, side_of
from unichunk.kinematics.description import HandDescription
from unichunk.kinematics.errors import UnknownModel, WrongShape
from unichunk.kinematics.inverse.solution import RowStatus
from unichunk.kinematics.retarget import (
    FINGERS,
    FingertipRetargeting,
    HandLandmarks,
    HandScale,
    RetargetError,
    RobotHand,
    average_hand,
    fit_hand_scale,
    joint_table,
    mirrored,
    robot_hand,
)
from unichunk.kinematics.rotation import from_axis_angle
from unichunk.kinematics.transforms import pose_from, transform_points

REST = np.zeros((15, 3))
points = arrays(np.float64, (5, 3), elements=st.floats(-0.25, 0.25, width=32))
vectors = arrays(np.float64, 3, elements=st.floats(-2.0, 2.0, width=32))


def closing(side, rows):
    """A hand that closes to half a fist, shape (rows, 15, 3)."""
    return np.linspace(0.0, 0.5, rows)[:, None, None] * fist(side)


def path(name, rows=20, seed=0):
    """Configurations on a straight line between two random ones, shape (rows, nq)."""
    hand, joint_map = hand_named(name), map_named(name)
    ends = np.random.default_rng(seed).uniform(joint_map.lower, joint_map.upper, size=(2, len(joint_map.lower)))
    q = np.tile(hand.open_hand, (rows, 1))
    q[:, joint_map.q_index] = ends[0] + np.linspace(0.0, 1.0, rows)[:, None] * (ends[1] - ends[0])
    return q


def flexors(name, finger):
    """Where in the model's q the joints are that bend a finger."""
    side, joint_map = side_of(name), map_named(name)
    rules = [rule for rule in joint_table(name).rules if rule.human[:-1] == finger and rule.motion == "flexion"]
    names = [rule.joint.format(side=side, S=side[0].upper()) for rule in rules]
    return [joint_map.q_index[joint_map.joint_names.index(joint)] for joint in names]


def human_scale(name, **options):
    return fit_hand_scale(average_hand(side_of(name)).landmarks(), hand_named(name).landmarks(), **options)


# The scale between hands


@given(turn=vectors, offset=vectors, size=st.floats(0.2, 5.0), per_finger=st.booleans())
def test_a_hand_that_is_a_turned_moved_and_stretched_one_is_found(turn, offset, size, per_finger):
    source, rotation = average_hand("right").landmarks(), from_axis_angle(turn)
    target = HandLandmarks(
        "right", FINGERS, size * source.knuckles @ rotation.T + offset, size * source.fingertips @ rotation.T + offset
    )
    scale = fit_hand_scale(source, target, per_finger=per_finger)
    np.testing.assert_allclose(scale.rotation_source_in_target, rotation, atol=1e-7)
    np.testing.assert_allclose(scale.source_in_target, offset, atol=1e-7)
    np.testing.assert_allclose(scale.scale, size, rtol=1e-7)
    np.testing.assert_allclose(scale.to_target(source.fingertips), target.fingertips, atol=1e-7)


@given(fingertips=points, name=st.sampled_from(HANDS), per_finger=st.booleans())
def test_to_the_target_and_back_is_the_identity(fingertips, name, per_finger):
    scale = human_scale(name, per_finger=per_finger)
    np.testing.assert_allclose(scale.to_source(scale.to_target(fingertips)), fingertips, atol=1e-12)


@given(touch=vectors, name=st.sampled_from(HANDS))
def test_fingertips_that_touch_still_touch(touch, name):
    targets = human_scale(name).to_target(np.tile(0.1 * touch, (5, 1)))
    np.testing.assert_allclose(targets, np.tile(targets[0], (5, 1)), atol=1e-12)


@pytest.mark.parametrize("name", HANDS)
def test_open_hands_lie_on_each_other(name):
    """But for the thumb, which each maker stretches elsewhere, and short little fingers, which robots have not got."""
    human, robot = average_hand(side_of(name)), hand_named(name).landmarks()
    off = np.linalg.norm(human_scale(name).to_target(human.fingertips) - robot.fingertips, axis=-1)
    assert (off[1:4] < 0.015).all(), off
    assert off[4] < 0.03, off


@pytest.mark.parametrize("name", HANDS)
def test_a_scale_per_finger_brings_open_fingertips_closer(name):
    human, robot = average_hand(side_of(name)), hand_named(name).landmarks()
    one = np.linalg.norm(human_scale(name).to_target(human.fingertips) - robot.fingertips, axis=-1)
    own = np.linalg.norm(human_scale(name, per_finger=True).to_target(human.fingertips) - robot.fingertips, axis=-1)
    assert (own <= one + 1e-12).all()
    assert own.max() < one.max()


@pytest.mark.parametrize("kind", MIRRORED)
def test_the_scales_of_left_and_right_hands_mirror_each_other(kind):
    right, left = human_scale(f"{kind}_right"), human_scale(f"{kind}_left")
    np.testing.assert_allclose(right.scale, left.scale, rtol=0.02)
    assert np.linalg.det(left.rotation_source_in_target) == pytest.approx(1.0)


@given(turn=vectors, offset=vectors)
def test_another_wrist_frame_asks_for_the_same_of_the_robot(turn, offset):
    human, robot = average_hand("left"), hand_named("o6_left").landmarks()
    tips, pose = human.fingertip_positions(fist("left")), pose_from(from_axis_angle(turn), offset)
    own = fit_hand_scale(human.landmarks(), robot).to_target(tips)
    other = fit_hand_scale(human.landmarks().in_frame(pose), robot).to_target(transform_points(pose, tips))
    np.testing.assert_allclose(own, other, atol=1e-9)


def test_a_person_of_twice_the_size_asks_for_the_same_of_the_robot():
    robot = hand_named("o6_right").landmarks()
    small, large = average_hand("right", 0.14, 0.07), average_hand("right", 0.28, 0.14)
    of_small = fit_hand_scale(small.landmarks(), robot).to_target(small.fingertip_positions(fist("right")))
    of_large = fit_hand_scale(large.landmarks(), robot).to_target(large.fingertip_positions(fist("right")))
    np.testing.assert_allclose(of_small, of_large, atol=1e-12)


def test_hands_with_some_fingers_in_common_are_compared_by_those():
    human = average_hand("right").landmarks()
    some = HandLandmarks("right", ("thumb", "index", "ring"), human.knuckles[[0, 1, 3]], human.fingertips[[0, 1, 3]])
    for source, target in ((human, some), (some, human)):
        scale = fit_hand_scale(source, target)
        assert scale.fingers == some.fingers
        np.testing.assert_allclose(scale.to_target(some.fingertips), some.fingertips, atol=1e-12)


def test_hands_that_cannot_be_compared_are_refused():
    human = average_hand("right").landmarks()
    pinch = HandLandmarks("right", ("thumb", "index"), human.knuckles[:2], human.fingertips[:2])
    with pytest.raises(RetargetError, match=r"hands with thumb, index in common: expected two beside the thumb"):
        fit_hand_scale(human, pinch)
    with pytest.raises(RetargetError, match="a right hand to a left hand: expected hands of the same side"):
        fit_hand_scale(human, hand_named("o6_left").landmarks())
    fallen = human.fingertips.copy()
    fallen[0] *= -1.0
    with pytest.raises(RetargetError, match=r"scale of the thumb is -1\.000: hands are not alike"):
        fit_hand_scale(human, HandLandmarks("right", FINGERS, human.knuckles, fallen), per_finger=True)


# A robot's hand


@pytest.mark.parametrize("name", HANDS)
def test_landmarks_are_those_of_the_open_hand_and_independent_of_the_arm(name):
    hand = hand_named(name)
    np.testing.assert_allclose(hand.fingertips_in_palm(hand.open_hand), hand.landmarks().fingertips, atol=1e-12)
    elsewhere = hand.model.upperPositionLimit.copy()
    elsewhere[map_named(name).q_index] = hand.open_hand[map_named(name).q_index]
    np.testing.assert_allclose(hand.fingertips_in_palm(elsewhere), hand.landmarks().fingertips, atol=1e-12)
    assert (np.linalg.norm(hand.landmarks().fingertips - hand.landmarks().knuckles, axis=-1) > 0.04).all()


def test_configurations_have_any_leading_axes():
    hand = hand_named("xhand_right")
    q = np.random.default_rng(0).uniform(0.0, 0.1, size=(2, 3, 12))
    assert hand.fingertips_in_palm(q).shape == (2, 3, 5, 3)
    np.testing.assert_array_equal(hand.fingertips_in_palm(q)[1, 2], hand.fingertips_in_palm(q[1, 2]))
    assert hand.fingertips_in_palm(np.zeros((0, 12))).shape == (0, 5, 3)


def test_hands_that_are_not_there_are_refused_with_those_that_are():
    with pytest.raises(RetargetError, match="o6_right has no left hand with fingers: expected one of right"):
        robot_hand("o6_right", "left")
    with pytest.raises(RetargetError, match="so101 has no right hand with fingers: expected one of none"):
        robot_hand("so101")
    model = hand_named("o6_right").model
    with pytest.raises(UnknownModel, match="'pinky_tipp'"):
        RobotHand(model, HandDescription(palm="hand_base_link", fingertips={"pinky": "pinky_tipp"}), "right")
    with pytest.raises(RetargetError, match="no joint moves the tip of the index"):
        RobotHand(model, HandDescription(palm="index_proximal", fingertips={"index": "index_proximal"}), "right")


# Inverse kinematics


@pytest.mark.parametrize("name", HANDS)
def test_a_hand_to_itself_is_the_identity(name):
    """Of the fingertips; of the joints too where six of them leave no choice."""
    hand, q = hand_named(name), path(name)
    solution = FingertipRetargeting(hand, position_tolerance=1e-6).solve(hand.fingertips_in_palm(q), q[0])
    assert solution.converged.all()
    np.testing.assert_allclose(hand.fingertips_in_palm(solution.q), hand.fingertips_in_palm(q), atol=2e-6)
    if len(hand.joint_names) == 6:
        np.testing.assert_allclose(solution.q, q, atol=1e-3)


@pytest.mark.parametrize("name", HANDS)
def test_human_fingertips_give_joints_within_limits_and_honest_residuals(name):
    hand, scale, human = hand_named(name), human_scale(name), average_hand(side_of(name))
    wanted = human.fingertip_positions(closing(side_of(name), 15))
    solution = FingertipRetargeting(hand, scale).solve(wanted, hand.open_hand)
    assert np.isfinite(solution.q).all()
    assert (solution.q >= hand.model.lowerPositionLimit).all()
    assert (solution.q <= hand.model.upperPositionLimit).all()
    distance = np.linalg.norm(hand.fingertips_in_palm(solution.q) - scale.to_target(wanted), axis=-1)
    np.testing.assert_allclose(solution.position_error, distance, atol=1e-9)
    np.testing.assert_array_equal(solution.converged, (distance <= 1e-3).all(axis=-1))
    assert distance.max() < 0.045


@pytest.mark.parametrize("name", HANDS)
def test_a_hand_that_closes_bends_the_robots_fingers_more_and_more(name):
    hand, side = hand_named(name), side_of(name)
    wanted = average_hand(side).fingertip_positions(closing(side, 8))
    q = FingertipRetargeting(hand, human_scale(name)).solve(wanted, hand.open_hand).q
    for finger in FINGERS[1:]:
        joints = flexors(name, finger)
        bend = q[:, joints].sum(axis=1)
        assert (np.diff(bend) > -0.05).all(), finger
        assert bend[-1] - bend[0] > 0.3 * len(joints), finger


def test_the_left_hand_does_what_the_right_one_does():
    """The O6's left hand is its right one's mirror image."""
    answers = []
    for name, rotations in (("o6_right", closing("right", 6)), ("o6_left", mirrored(closing("right", 6)))):
        hand, human = hand_named(name), average_hand(side_of(name))
        solver = FingertipRetargeting(hand, human_scale(name))
        answers.append(solver.solve(human.fingertip_positions(rotations), hand.open_hand))
    np.testing.assert_allclose(answers[0].q, answers[1].q, atol=1e-4)
    np.testing.assert_allclose(answers[0].position_error, answers[1].position_error, atol=1e-5)


@pytest.mark.parametrize(("source", "target"), [("o6_right", "inspire_right"), ("sharpa_wave_left", "o6_left")])
def test_one_robots_hand_follows_anothers(source, target):
    side = side_of(source)
    leader, follower = hand_named(source), hand_named(target)
    solver = FingertipRetargeting(follower, fit_hand_scale(leader.landmarks(), follower.landmarks()))
    solution = solver.solve(leader.fingertips_in_palm(posture(source, closing(side, 6))), follower.open_hand)
    assert solution.position_error[:, 1:].max() < 0.03
    index, last = FINGERS.index("index"), follower.fingertips_in_palm(solution.q[-1])
    knuckle = follower.landmarks().knuckles[index]
    straight = np.linalg.norm(follower.landmarks().fingertips[index] - knuckle)
    assert np.linalg.norm(last[index] - knuckle) < 0.95 * straight


def test_joints_of_the_arm_stay_where_they_are():
    hand = robot_hand("d1")
    q_start = np.clip(0.3, hand.model.lowerPositionLimit, hand.model.upperPositionLimit)
    solver = FingertipRetargeting(hand, fit_hand_scale(average_hand("right").landmarks(), hand.landmarks()))
    solution = solver.solve(average_hand("right").fingertip_positions(closing("right", 4)), q_start)
    of_hand = np.isin(np.arange(hand.model.nq), map_named("d1_right").q_index)
    np.testing.assert_array_equal(solution.q[:, ~of_hand], np.tile(q_start[~of_hand], (4, 1)))
    assert (solution.q[:, of_hand] != q_start[of_hand]).any()


def test_velocity_limits_hold_where_time_is_given():
    hand = hand_named("o6_right")
    tips = hand.fingertips_in_palm(np.tile(hand.model.upperPositionLimit, (3, 1)))
    solution = FingertipRetargeting(hand).solve(tips, hand.open_hand, dt=0.02)
    steps = np.abs(np.diff(np.vstack([hand.open_hand, solution.q]), axis=0))
    assert (steps <= 0.02 * hand.model.velocityLimit + 1e-12).all()
    assert (solution.status == RowStatus.VELOCITY_LIMITED).any()


def test_a_fingertip_that_is_no_number_stops_its_finger_and_says_so():
    hand = hand_named("o6_right")
    tips = hand.fingertips_in_palm(posture("o6_right", closing("right", 4)))
    tips[2, FINGERS.index("ring"), 1] = np.nan
    solution = FingertipRetargeting(hand).solve(tips, hand.open_hand)
    assert solution.status.tolist() == [0, 0, RowStatus.INVALID_INPUT, 0]
    ring = hand.joint_names.index("ring_mcp_pitch")
    assert solution.q[2, ring] == solution.q[1, ring]
    index = hand.joint_names.index("index_mcp_pitch")
    assert solution.q[2, index] > solution.q[1, index]
    assert np.isfinite(solution.q).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200, 1.7e308])
def test_numbers_that_no_hand_reaches_stop_the_finger_without_a_warning(bad):
    hand = hand_named("o6_right")
    tips = average_hand("right").fingertip_positions(closing("right", 4))
    tips[2, FINGERS.index("ring")] = bad
    solution = FingertipRetargeting(hand, human_scale("o6_right")).solve(tips, hand.open_hand)
    assert solution.status[2] == RowStatus.INVALID_INPUT
    assert (solution.status[[0, 1, 3]] != RowStatus.INVALID_INPUT).all()
    ring = hand.joint_names.index("ring_mcp_pitch")
    assert solution.q[2, ring] == solution.q[1, ring]
    assert np.isfinite(solution.q).all()


@given(bad=st.sampled_from([np.nan, np.inf, -np.inf, 1.7e308]), finger=st.integers(0, 4), axis=st.integers(0, 2))
def test_a_point_that_is_not_finite_comes_out_not_finite_and_the_others_as_they_are(bad, finger, axis):
    scale, tips = human_scale("o6_right"), np.random.default_rng(0).normal(0.0, 0.1, size=(3, 5, 3))
    for change in (scale.to_target, scale.to_source):
        wanted, spoiled = change(tips), tips.copy()
        spoiled[1, finger, axis] = bad
        found = change(spoiled)
        assert (np.abs(found[1, finger]) > 1e300).any() or not np.isfinite(found[1, finger]).all()
        wanted[1, finger] = found[1, finger]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_some_fingers_alone_can_have_targets():
    hand, human = hand_named("sharpa_wave_right"), average_hand("right").landmarks()
    some = HandLandmarks("right", FINGERS[:3], human.knuckles[:3], human.fingertips[:3])
    solver = FingertipRetargeting(hand, fit_hand_scale(some, hand.landmarks()))
    assert solver.fingers == ("thumb", "index", "middle")
    tips = average_hand("right").fingertip_positions(bent("right", index1_flexion=1.0))[:3]
    solution = solver.solve(tips[None], hand.open_hand)
    assert solution.position_error.shape == (1, 3)
    pinky = [joint for joint, name in enumerate(hand.joint_names) if "pinky" in name]
    np.testing.assert_array_equal(solution.q[0, pinky], hand.open_hand[pinky])


def test_what_does_not_fit_the_hand_is_refused():
    hand = hand_named("o6_right")
    frames = HandDescription(palm=hand.palm, fingertips={"index": "index_tip", "ring": "ring_tip"})
    scale = HandScale(("index", "middle"), np.eye(3), np.zeros(3), np.ones(2))
    with pytest.raises(RetargetError, match="scale: this hand has no middle: expected a scale for index, ring"):
        FingertipRetargeting(RobotHand(hand.model, frames, "right"), scale)
    with pytest.raises(WrongShape, match=r"fingertips: expected shape \(\.\.\., 5, 3\), got \(4, 15\)"):
        FingertipRetargeting(hand).solve(np.zeros((4, 15)), hand.open_hand)
