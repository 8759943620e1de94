"""Devices' own units: which way is open, what the numbers are, in which order they go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.raw_units import from_raw, to_raw, to_raw_counts

if TYPE_CHECKING:
    from unichunk.embodiments.spec import JointGroup

OPEN = {"fr3_inspire": 1000, "g1_inspire": 1000, "adam_u": 1000, "g1_o6": 255, "d1": 255}
"""The number that all fingers of an open hand have: Inspire's RH56 and Adam-U's hands 1000, LinkerHand's O6 255."""

FIRST_AND_LAST = {
    "fr3_inspire": ("pinky", "thumb_proximal_yaw"),
    "g1_inspire": ("pinky", "thumb_proximal_yaw"),
    "adam_u": ("pinky", "thumb"),
    "g1_o6": ("thumb_cmc_pitch", "pinky"),
    "d1": ("thumb_cmc_pitch", "pinky"),
}
"""Inspire and Adam-U count from the little finger to the thumb's rotation, LinkerHand from the thumb to the little."""


def counted_groups() -> list[tuple[str, str]]:
    specs = [load_spec(name) for name in embodiment_names()]
    return [(spec.name, name) for spec in specs for name, group in spec.groups.items() if group.raw is not None]


def the(robot: str, name: str) -> JointGroup:
    return load_spec(robot).groups[name]


def ends(group: JointGroup) -> np.ndarray:
    return np.array([[joint.lower, joint.upper] for joint in group.joints])


counted = pytest.mark.parametrize(("robot", "name"), counted_groups())


def test_the_hands_that_count_are_known() -> None:
    assert {robot for robot, _ in counted_groups()} == set(OPEN)


@counted
def test_stretched_fingers_have_the_number_of_an_open_hand_and_bent_ones_none(robot: str, name: str) -> None:
    group = the(robot, name)
    fingers = [i for i, joint in enumerate(group.raw.order) if "thumb" not in joint]
    assert len(fingers) == 4
    assert to_raw_counts(group, np.array(group.open))[fingers].tolist() == [OPEN[robot]] * 4
    assert (to_raw(group, np.array(group.closed))[fingers] < 0.5 * OPEN[robot]).all()
    assert to_raw_counts(group, ends(group)[:, 0]).tolist() == [OPEN[robot]] * len(group.joints)
    assert to_raw_counts(group, ends(group)[:, 1]).tolist() == [0] * len(group.joints)


@counted
def test_all_open_is_the_golden_frame_of_the_device(robot: str, name: str) -> None:
    group = the(robot, name)
    all_open = np.full(len(group.joints), OPEN[robot])
    np.testing.assert_allclose(from_raw(group, all_open), ends(group)[:, 0], atol=1e-12)


@counted
def test_numbers_go_out_in_the_devices_order(robot: str, name: str) -> None:
    group = the(robot, name)
    first, last = FIRST_AND_LAST[robot]
    assert first in group.raw.order[0]
    assert last in group.raw.order[-1]
    for place, joint in enumerate(group.raw.order):
        q = ends(group)[:, 0].copy()
        i = group.joint_names.index(joint)
        q[i] = group.joints[i].upper
        raw = to_raw_counts(group, q)
        assert np.flatnonzero(raw != OPEN[robot]).tolist() == [place]


@counted
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_there_and_back(robot: str, name: str, data: st.DataObject) -> None:
    group = the(robot, name)
    n, limits = len(group.joints), ends(group)
    q = np.array(data.draw(st.lists(st.lists(st.floats(-9, 9), min_size=n, max_size=n), min_size=1, max_size=3)))
    raw = to_raw(group, q)
    assert raw.shape == q.shape
    assert (raw >= min(group.raw.at_lower, group.raw.at_upper)).all()
    assert (raw <= max(group.raw.at_lower, group.raw.at_upper)).all()
    np.testing.assert_allclose(from_raw(group, raw), np.clip(q, limits[:, 0], limits[:, 1]), atol=1e-9)
    step = (limits[:, 1] - limits[:, 0]) / abs(group.raw.at_upper - group.raw.at_lower)
    rounded = from_raw(group, to_raw_counts(group, q))
    assert (np.abs(rounded - np.clip(q, limits[:, 0], limits[:, 1])) <= 0.5 * step + 1e-9).all()


@counted
def test_numbers_out_of_the_devices_range_are_its_ends(robot: str, name: str) -> None:
    group = the(robot, name)
    far = np.full(len(group.joints), 1e6)
    np.testing.assert_allclose(from_raw(group, far), ends(group)[:, 0])
    np.testing.assert_allclose(from_raw(group, -far), ends(group)[:, 1])


def test_without_an_order_it_is_the_groups() -> None:
    group = the("g1_o6", "right_hand")
    plain = msgspec.structs.replace(group, raw=msgspec.structs.replace(group.raw, order=None))
    q = ends(group)[:, 0].copy()
    q[1] = group.joints[1].upper
    assert to_raw_counts(plain, q).tolist() == [255, 0, 255, 255, 255, 255]


def test_a_group_in_radians_and_a_position_that_is_none() -> None:
    with refused(SpecError, "raw of joint1, ", "the spec has none"):
        to_raw(the("rm75_xhand", "right_arm"), np.zeros(7))
    with refused(ValueError, "expected finite numbers"):
        to_raw_counts(the("g1_o6", "right_hand"), np.full(6, np.nan))
