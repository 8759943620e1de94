"""Postures of hands and grippers."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.hands import POSTURES, Hands, hand_posture

SPEC = load_spec("so101")


@pytest.mark.parametrize("name", embodiment_names())
def test_postures_are_those_of_the_spec_and_half_way_between_them(name):
    spec = load_spec(name)
    groups = [group for group in spec.groups.values() if group.kind in ("hand", "gripper")]
    opened, closed = (np.concatenate([getattr(group, which) for group in groups]) for which in ("open", "closed"))
    np.testing.assert_allclose(hand_posture(spec, "open"), opened)
    np.testing.assert_allclose(hand_posture(spec, "closed"), closed)
    np.testing.assert_allclose(hand_posture(spec, "half"), 0.5 * (opened + closed))
    hands, q = Hands(spec), spec.rest.copy()
    assert [spec.joint_names[i] for i in hands.index] == [name for group in groups for name in group.joint_names]
    for posture in POSTURES:
        q[hands.index] = hands.values(posture)
        errors = [hands.error(q, other) for other in POSTURES]
        assert errors[POSTURES.index(posture)] == 0.0
        assert sorted(errors)[1] == pytest.approx(0.5)
    rows = np.tile(q, (3, 1))
    np.testing.assert_allclose(hands.error(rows, np.array([2, 1, 0])), [0.0, 1.0, 0.5], atol=1e-12)


def test_the_gripper_of_the_so101_is_half_open_as_it_was():
    assert hand_posture(SPEC, "half") == pytest.approx([0.5 * (-0.174533 + 1.74533)])


def test_joints_that_open_and_closed_share_do_not_count():
    spec = load_spec("fr3_inspire")
    hand = msgspec.structs.replace(spec.groups["right_hand"], closed=(0.0, *spec.groups["right_hand"].closed[1:]))
    hands = Hands(msgspec.structs.replace(spec, groups={**spec.groups, "right_hand": hand}))
    q = spec.rest.copy()
    q[hands.index] = hands.values("closed")
    q[hands.index[0]] += 1.0
    assert hands.error(q, "closed") == 0.0


def test_a_hand_without_postures_is_refused_by_name():
    gripper = msgspec.structs.replace(SPEC.groups["gripper"], open=None)
    with refused(SpecError, "groups.gripper", "open"):
        Hands(msgspec.structs.replace(SPEC, groups={**SPEC.groups, "gripper": gripper}))
