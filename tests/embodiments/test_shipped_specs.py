"""The contract of all specs that ship with the project."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.model import check_model, spec_model
from unichunk.embodiments.raw_units import from_raw, to_raw
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.robot_model import joint_names

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec, JointGroup

ROBOTS = ("adam_u", "d1", "fr3_inspire", "g1_inspire", "g1_o6", "rm75_xhand", "sharpa", "so101")
LAYOUT = {
    ("arm", "right"): [(50, 57)],
    ("arm", "left"): [(57, 64)],
    ("gripper", "right"): [(18, 19)],
    ("gripper", "left"): [(19, 20)],
    ("hand", "right"): [(20, 32), (76, 90)],
    ("hand", "left"): [(32, 44)],
    ("head", None): [(64, 66)],
    ("waist", None): [(66, 69)],
}
"""Where the unified space has the joints of each kind of group; 76 to 90 are for what has no place of its own."""
END_EFFECTOR = {"right": ((0, 3), (3, 6)), "left": ((9, 12), (12, 15))}
RANK = ("arm", "head", "waist", "hand", "gripper")
TINY_RANGE = 0.3
RAW_GROUPS = [(name, group) for name in ROBOTS for group, parts in load_spec(name).groups.items() if parts.raw]


def hands_of(spec: EmbodimentSpec) -> list[tuple[str, JointGroup]]:
    return [(name, group) for name, group in spec.groups.items() if group.kind in ("hand", "gripper")]


def test_these_robots_ship() -> None:
    assert tuple(embodiment_names()) == ROBOTS
    assert [load_spec(name).name for name in ROBOTS] == list(ROBOTS)


def test_the_model_is_one_that_ships(spec: EmbodimentSpec) -> None:
    assert spec.model in robot_names()
    assert spec.model == spec.name


def test_limits_are_those_of_the_joints(spec: EmbodimentSpec) -> None:
    limits = spec.limits
    assert limits.names == spec.joint_names
    assert limits.size == len(spec.joints)
    for values in (limits.lower, limits.upper, limits.velocity, limits.acceleration, limits.jerk, limits.braking):
        assert values.shape == (limits.size,)
        assert np.isfinite(values).all()
        assert not values.flags.writeable
    assert (limits.braking < limits.acceleration).all()


def test_limits_are_within_those_of_the_model(spec: EmbodimentSpec) -> None:
    model = spec_model(spec)
    index = [joint_names(model).index(name) for name in spec.joint_names]
    rounding = 1e-6
    assert (spec.limits.lower >= model.lowerPositionLimit[index] - rounding).all()
    assert (spec.limits.upper <= model.upperPositionLimit[index] + rounding).all()


def test_the_model_has_and_can_do_what_the_spec_says(spec: EmbodimentSpec) -> None:
    """Speeds too; specs given by file are checked when they are loaded, those that ship are checked here."""
    check_model(spec, spec.name)


def test_nothing_is_faster_than_a_robot_at_a_table_should_be(spec: EmbodimentSpec) -> None:
    """Manufacturers' numbers of 10 and 37 rad/s are placeholders, or what the bare motors can do."""
    assert (spec.limits.velocity <= 5.3).all()
    assert (spec.limits.upper - spec.limits.lower < 4 * math.pi).all()


def test_a_joint_can_reach_its_speed_and_stop_within_its_range(spec: EmbodimentSpec) -> None:
    """Limits that contradict each other are typing mistakes: degrees for radians, a missing zero."""
    limits = spec.limits
    path = limits.velocity**2 / (2 * limits.acceleration) + limits.velocity**2 / (2 * limits.braking)
    span = limits.upper - limits.lower
    assert ((path < span) | (span < TINY_RANGE)).all()


def test_the_acceleration_can_turn_around_within_20_ms(spec: EmbodimentSpec) -> None:
    assert (2 * spec.limits.acceleration / spec.limits.jerk <= 0.0201).all()


def test_groups_come_in_this_order_and_have_their_slots(spec: EmbodimentSpec) -> None:
    places = [(RANK.index(group.kind), group.side == "left") for group in spec.groups.values()]
    assert places == sorted(places)
    for group in spec.groups.values():
        start, stop = group.slots
        assert any(low <= start and stop <= high for low, high in LAYOUT[group.kind, group.side])
        assert group.unit == ("open_fraction" if group.kind == "gripper" else "rad")


def test_a_first_hand_group_starts_where_all_hands_do(spec: EmbodimentSpec) -> None:
    """What hands have in common is in the same slots: a policy for several robots can share it."""
    first: dict[str | None, int] = {}
    for _, group in hands_of(spec):
        first.setdefault(group.side, group.slots[0])
    if spec.name != "so101":
        assert first == {side: LAYOUT["hand", side][0][0] for side in first}


def test_every_arm_has_an_end_effector_in_its_slots(spec: EmbodimentSpec) -> None:
    arms = {group.side: name for name, group in spec.groups.items() if group.kind == "arm"}
    described = robot_description(spec.model).end_effectors
    assert set(spec.end_effectors) == set(arms)
    for side, end in spec.end_effectors.items():
        assert (end.position, end.rotation) == END_EFFECTOR[side]
        assert end.groups == (arms[side],)
        assert end.frame == described[side]


def test_hands_close_towards_the_palm(spec: EmbodimentSpec) -> None:
    model = spec_model(spec)
    data = model.createData()

    def reach(posture: str, palm: str, tip: str) -> float:
        q = np.zeros(model.nq)
        for _, group in hands_of(spec):
            for name, value in zip(group.joint_names, getattr(group, posture), strict=True):
                q[joint_names(model).index(name)] = value
        pin.framesForwardKinematics(model, data, q)
        poses = [data.oMf[model.getFrameId(frame, pin.FrameType.BODY)].translation for frame in (palm, tip)]
        return float(np.linalg.norm(poses[1] - poses[0]))

    for hand in robot_description(spec.model).hands.values():
        for finger, tip in hand.fingertips.items():
            if finger != "thumb":
                assert reach("closed", hand.palm, tip) < reach("open", hand.palm, tip) - 0.03, finger


def test_hands_rest_half_way_between_open_and_closed(spec: EmbodimentSpec) -> None:
    """Nothing said of the hand in an instruction means half-way; a gripper rests where its spec says."""
    for _, group in hands_of(spec):
        assert group.open is not None
        assert group.closed is not None
        if group.kind == "hand":
            middle = [(a + b) / 2 for a, b in zip(group.open, group.closed, strict=True)]
            assert [joint.rest for joint in group.joints] == pytest.approx(middle, abs=1e-4)


@pytest.mark.parametrize(("name", "group"), RAW_GROUPS)
def test_an_open_hand_is_the_devices_largest_number(name: str, group: str) -> None:
    hand = load_spec(name).groups[group]
    assert hand.raw is not None
    assert hand.open is not None
    assert hand.closed is not None
    assert hand.raw.at_lower == (255 if name in ("g1_o6", "d1") else 1000)
    assert hand.raw.at_upper == 0
    opened, closed = to_raw(hand, np.array(hand.open)), to_raw(hand, np.array(hand.closed))
    assert opened.tolist() == [hand.raw.at_lower] * 6
    assert (closed < 0.45 * hand.raw.at_lower).all()


@pytest.mark.parametrize(
    ("name", "group", "order"),
    [
        ("fr3_inspire", "right_hand", [5, 4, 3, 2, 0, 1]),
        ("g1_inspire", "left_hand", [5, 4, 3, 2, 0, 1]),
        ("adam_u", "left_hand", [5, 4, 3, 2, 0, 1]),
        ("g1_o6", "right_hand", [0, 1, 2, 3, 4, 5]),
        ("d1", "right_hand", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_devices_order(name: str, group: str, order: list[int]) -> None:
    """Inspire hands and Adam-U's count from the little finger, and rotate the thumb last; the O6 begins with it."""
    hand = load_spec(name).groups[group]
    assert hand.raw is not None
    assert hand.raw.order == tuple(hand.joint_names[i] for i in order)


@pytest.mark.parametrize(("name", "group"), RAW_GROUPS)
@given(shares=st.lists(st.floats(0, 1), min_size=6, max_size=6))
@settings(max_examples=20)
def test_raw_units_there_and_back(name: str, group: str, shares: list[float]) -> None:
    hand = load_spec(name).groups[group]
    lower, upper = (np.array([getattr(joint, end) for joint in hand.joints]) for end in ("lower", "upper"))
    q = lower + np.array(shares) * (upper - lower)
    np.testing.assert_allclose(from_raw(hand, to_raw(hand, q)), q, atol=1e-12)


def test_six_joint_hands_begin_with_the_thumbs_bend_and_rotation(spec: EmbodimentSpec) -> None:
    """The rotation has the wider range on every one of these hands."""
    for _, group in hands_of(spec):
        if len(group.joints) == 6:
            bend, rotation, *fingers = (joint.upper - joint.lower for joint in group.joints)
            assert bend < rotation <= 1.6
            assert len(set(fingers)) == 1
            words = [name.removeprefix("left_").removeprefix("right_") for name in group.joint_names[2:]]
            assert all(finger in word for finger, word in zip(("index", "middle", "ring", "pinky"), words, strict=True))


def test_rates_and_times_fit_each_other(spec: EmbodimentSpec) -> None:
    assert 10 <= spec.action_hz <= 50
    assert 50 <= spec.command_hz <= 1000
    assert all(group.command_hz >= spec.action_hz for group in spec.groups.values())
    # One late command is no reason to stop, and a frame must be allowed to be one frame old.
    assert spec.watchdog_s > 2 / spec.command_hz
    for camera in spec.cameras.values():
        assert camera.fps == min(spec.action_hz, 30)
        assert spec.observation_max_age_s > 2 / camera.fps
        assert spec.frozen_camera_s > 2 / camera.fps
    assert spec.observation_max_age_s > spec.expected_latency_s + 2 / spec.action_hz


def test_only_servos_with_a_profile_of_their_own_get_commands_as_they_come(spec: EmbodimentSpec) -> None:
    assert spec.checked_stream == (spec.name not in {"so101", "d1"})


def test_choices_have_a_note(spec: EmbodimentSpec) -> None:
    expected = {"joints", "servo", "following_error", "camera"}
    if spec.name != "so101":
        expected |= {"hand", "raw"} if any(group.raw for group in spec.groups.values()) else {"hand"}
    assert expected <= set(spec.notes)
    assert all(len(note) > 20 for note in spec.notes.values())


def test_an_assumed_arm_says_so() -> None:
    assert "assumed" in load_spec("sharpa").title
    assert load_spec("sharpa").notes["arm"].startswith("Assumed")
    assert any(note.startswith("Assumed: the arm.") for note in robot_description("sharpa").notes)
