"""Joint positions for blocks anywhere in the region: exact, smooth, within the limits."""

from __future__ import annotations

import msgspec
import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.goal_map import GoalMap, goal_map
from unichunk.embodiments.sim.surface import Surface
from unichunk.kinematics.robot_model import frame_index

SPEC = load_spec("so101")
SMALL = {"region_x": (0.25, 0.31), "region_y": (-0.02, 0.02)}
ROBOTS = [name for name in embodiment_names() if (twin := load_spec(name).twin) is not None and twin.task is not None]


def changed(spec, **changes):
    task = msgspec.structs.replace(spec.twin.task, **changes)
    return msgspec.structs.replace(spec, twin=msgspec.structs.replace(spec.twin, task=task))


@pytest.mark.parametrize("name", ROBOTS)
def test_hands_are_within_a_millimetre_of_their_points_between_the_points_of_the_grid(name):
    spec = load_spec(name)
    goals, task = goal_map(spec), spec.twin.task
    random = np.random.default_rng(0)
    ground = random.uniform(*np.array([task.region_x, task.region_y]).T, (500, 2))
    q = goals.joints(ground)
    assert np.linalg.norm(goals.frames.positions(q) - goals.frames.points(ground), axis=-1).max() < 1e-3
    assert (q >= spec.limits.lower - 1e-12).all()
    assert (q <= spec.limits.upper + 1e-12).all()
    # A millimetre beside, no joint is far away; and everything but arms stays where it is.
    beside = goals.joints(ground + 1e-3 * random.standard_normal(ground.shape))
    assert np.abs(beside - q).max() < 0.1
    arms = [i for group, parts in spec.groups.items() if parts.kind == "arm" for i in spec.joint_index(group)]
    assert np.ptp(np.delete(q, arms, axis=1), axis=0).max() == pytest.approx(0.0, abs=1e-12)
    assert np.ptp(q[:, arms], axis=0).max() > 0.1


@pytest.mark.parametrize("name", [name for name in ROBOTS if name != "so101"])
def test_arms_of_six_joints_and_more_keep_the_direction_of_their_hands(name):
    spec = load_spec(name)
    goals, task = goal_map(spec), spec.twin.task
    data = goals.frames.model.createData()
    for x in task.region_x:
        for y in task.region_y:
            configuration = goals.frames.configuration(goals.joints(np.array([x, y])))
            pin.framesForwardKinematics(goals.frames.model, data, configuration)
            for hover in task.hands.values():
                rotation = data.oMf[frame_index(goals.frames.model, hover.frame)].rotation
                axis = rotation[:, "xyz".index(hover.axis)]
                assert axis @ np.array(hover.direction) / np.linalg.norm(hover.direction) > 0.999


def test_the_tool_of_five_joints_points_down_as_far_as_it_can():
    goals = goal_map(SPEC)
    data, model = goals.frames.model.createData(), goals.frames.model
    pin.framesForwardKinematics(model, data, goals.frames.configuration(goals.joints(np.array([0.20, 0.0]))))
    assert data.oMf[frame_index(model, "gripper_frame_link")].rotation[2, 2] < -0.95


def test_equal_specs_share_a_map():
    assert goal_map(load_spec("so101")) is goal_map(SPEC)
    assert goal_map(changed(SPEC, **SMALL)) is not goal_map(SPEC)


def test_a_point_out_of_reach_is_refused_with_its_place():
    with refused(SpecError, "so101", "misses its point", "(0."):
        GoalMap(changed(SPEC, region_x=(0.3, 0.6)))


@pytest.mark.parametrize(
    ("hands", "words"),
    [
        ({"left": SPEC.twin.task.hands["right"]}, "none of the joints that may move moves it"),
        ({"right": msgspec.structs.replace(SPEC.twin.task.hands["right"], frame="base_link")}, "frame base_link"),
        ({"right": msgspec.structs.replace(SPEC.twin.task.hands["right"], frame="thumb")}, "unknown frame 'thumb'"),
    ],
)
def test_a_hand_that_no_arm_moves_is_refused(hands, words):
    with refused(SpecError, "embodiment.twin.task.hands of so101: ", words):
        GoalMap(changed(SPEC, hands=hands))


def test_a_jump_is_refused(monkeypatch):
    monkeypatch.setattr("unichunk.embodiments.sim.goal_map.LARGEST_STEP", 0.05)
    with refused(SpecError, "so101", "jumps", "rad"):
        GoalMap(changed(SPEC, **SMALL))


@given(st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6), st.floats(0.0, 3.0), st.floats(0.0, 4.0))
def test_interpolation_is_exact_for_quadratics_inside_and_at_its_own_points(factors, x, y):
    def surface(x, y):
        return factors[0] + factors[1] * x + factors[2] * y + factors[3] * x * y + factors[4] * x**2 + factors[5] * y**2

    xs, ys = np.arange(-1.0, 5.0), np.arange(-1.0, 6.0)
    interpolated = Surface(xs, ys, surface(xs[:, None], ys[None, :])[..., None])
    assert interpolated(np.array([x, y])) == pytest.approx(surface(x, y), abs=1e-9)


def test_points_beyond_the_grid_are_on_its_edge_and_shapes_are_kept():
    xs = np.arange(5.0)
    surface = Surface(xs, xs, np.stack(np.meshgrid(xs, xs, indexing="ij"), axis=-1))
    np.testing.assert_allclose(surface(np.array([[[-9.0, 2.2], [9.0, 9.0]]])), [[[1.0, 2.2], [3.0, 3.0]]])
