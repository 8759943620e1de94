"""Contacts of the simulated robots: with the table, and with objects that can and cannot be moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.sim.twin import Twin
from unichunk.embodiments.twin_spec import LooseObject
from unichunk.kinematics.description import robot_description

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec

SO101 = load_spec("so101")
HANDS = [
    pytest.param(name, side, id=f"{name}-{side}")
    for name in embodiment_names()
    if (spec := load_spec(name)).twin is not None
    for side in sorted({group.side for group in spec.groups.values() if group.kind == "hand"})
]


def with_box(spec: EmbodimentSpec, position: np.ndarray, mass: float, half_size: float) -> Twin:
    """A twin without gravity, far above its table, with one box that floats."""
    x, y, z = position.tolist()
    box = LooseObject(
        name="box", half_size=(half_size,) * 3, position=(x, y, z), mass=mass, colour=(1.0, 1.0, 0.0, 1.0)
    )
    twin = msgspec.structs.replace(spec.twin, task=None, table_height=-3.0, objects=(box,))
    made = Twin(msgspec.structs.replace(spec, twin=twin), objects=True)
    made.model.opt.gravity[:] = 0.0
    return made


def move(twin: Twin, start: np.ndarray, goal: np.ndarray, duration_s: float = 0.6) -> None:
    twin.reset(start)
    periods = int(duration_s * twin.spec.command_hz)
    for period in range(2 * periods):
        twin.set_command(start + min(1.0, (period + 1) / periods) * (goal - start))
        twin.advance(twin.steps_per_command)


@pytest.mark.parametrize(("name", "side"), HANDS)
def test_a_finger_pushes_what_is_light_and_stops_at_what_is_not(name, side):
    spec = load_spec(name)
    tip = robot_description(spec.model).hands[side].fingertips["index"]
    opened, closed = spec.rest.copy(), spec.rest.copy()
    for group, hand in spec.groups.items():
        if hand.kind == "hand" and hand.side == side:
            opened[spec.joint_index(group)], closed[spec.joint_index(group)] = hand.open, hand.closed
    index = np.flatnonzero(opened != closed)
    probe = Twin(spec)
    probe.reset(opened + 0.7 * (closed - opened))
    place = probe.frame_position(tip)

    heavy = with_box(spec, place, 1e5, 0.02)
    move(heavy, opened, closed)
    assert np.abs(heavy.q - closed)[index].max() > 0.1
    assert np.linalg.norm(heavy.frame_position("box") - place) < 0.01

    light = with_box(spec, place, 0.02, 0.02)
    move(light, opened, closed)
    np.testing.assert_allclose(light.q, closed, atol=0.1)
    assert np.linalg.norm(light.frame_position("box") - place) > 0.03


def test_a_gripper_pushes_what_is_light_and_stops_at_what_is_not():
    beside = SO101.rest.copy()
    beside[0] = 0.6
    probe = Twin(SO101)
    place = probe.frame_position("gripper_frame_link")

    heavy = with_box(SO101, place, 1e5, 0.02)
    move(heavy, beside, -beside * np.eye(6)[0] + SO101.rest)
    assert heavy.q[0] > 0.05
    light = with_box(SO101, place, 0.02, 0.02)
    move(light, beside, -beside * np.eye(6)[0] + SO101.rest)
    assert light.q[0] == pytest.approx(-0.6, abs=0.02)
    assert np.linalg.norm(light.frame_position("box") - place) > 0.05


def test_the_table_stops_an_arm_that_is_sent_below_it():
    twin = Twin(SO101)
    down = SO101.rest.copy()
    down[1] = 1.0
    move(twin, SO101.rest, down, 1.5)
    assert down[1] - twin.q[1] > 0.1
    assert twin.frame_position("gripper_frame_link")[2] > -0.02
    assert np.abs(twin.dq).max() < 0.5


@pytest.mark.parametrize("name", embodiment_names())
def test_loose_objects_stand_still_on_the_table_until_somebody_comes(name):
    spec = load_spec(name)
    if spec.twin is None or not spec.twin.objects:
        pytest.skip("no loose objects in its spec")
    twin = Twin(spec, objects=True)
    twin.advance(round(1.0 / twin.timestep))
    for loose in spec.twin.objects:
        assert twin.frame_position(loose.name) == pytest.approx(loose.position, abs=0.003)


def test_loose_objects_are_there_only_on_request():
    assert Twin(SO101).model.nv == len(SO101.joints)
    assert Twin(SO101, objects=True).model.nv == len(SO101.joints) + 6
