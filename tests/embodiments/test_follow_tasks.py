"""The follow tasks of all specs: within reach, clear of the robot and of the table, and in the cameras' view."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin
import pytest

from unichunk.embodiments.model import BASE
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.embodiments.sim.hands import POSTURES, Hands
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import frame_index, joint_names, robot_model
from unichunk.kinematics.self_collision import SelfCollision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import Camera, EmbodimentSpec
    from unichunk.embodiments.twin_spec import FollowTask, Twin

APART = 0.010
"""What links keep from each other, [m]."""
SQUARE = 96
"""Pixels on a side of what a policy gets: the picture's central square."""
BLOCK_PIXELS = 5


def twin_of(spec: EmbodimentSpec) -> Twin:
    assert spec.twin is not None
    return spec.twin


def task_of(spec: EmbodimentSpec) -> FollowTask:
    task = twin_of(spec).task
    assert task is not None
    return task


def corners(task: FollowTask) -> NDArray[np.float64]:
    return np.array([[*ground, task.height] for ground in product(task.region_x, task.region_y)])


def configurations(spec: EmbodimentSpec, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    names = joint_names(robot_model(spec.model))
    full = np.zeros((len(rows), len(names)))
    full[:, [names.index(name) for name in spec.joint_names]] = rows
    return full


def goals(spec: EmbodimentSpec, count: int = 5) -> NDArray[np.float64]:
    """Joint positions for blocks on a grid, in every posture of the hands, shape (m, n)."""
    task, hands = task_of(spec), Hands(spec)
    ground = np.array(list(product(np.linspace(*task.region_x, count), np.linspace(*task.region_y, count))))
    rows = np.concatenate([goal_map(spec).joints(ground)] * len(POSTURES))
    for i, posture in enumerate(POSTURES):
        rows[i * len(ground) : (i + 1) * len(ground), hands.index] = hands.values(posture)
    return rows


def test_blocks_stand_on_the_table(spec: EmbodimentSpec) -> None:
    twin, task = twin_of(spec), task_of(spec)
    assert task.height - task.half_size == pytest.approx(twin.table_height)
    for region, table in ((task.region_x, twin.table_x), (task.region_y, twin.table_y)):
        assert table[0] < region[0] - task.half_size
        assert region[1] + task.half_size < table[1]
    for thing in twin.objects:
        assert thing.position[2] - thing.half_size[2] == pytest.approx(twin.table_height)
        assert twin.table_x[0] < thing.position[0] < twin.table_x[1]
        assert twin.table_y[0] < thing.position[1] < twin.table_y[1]


def test_nobody_can_be_near_both_blocks(spec: EmbodimentSpec) -> None:
    task = task_of(spec)
    assert task.clearance >= 2 * task.near


def test_every_arm_has_something_to_do(spec: EmbodimentSpec) -> None:
    assert set(task_of(spec).hands) == {group.side for group in spec.groups.values() if group.kind == "arm"}


def test_the_rest_pose_is_clear_of_the_robot(spec: EmbodimentSpec) -> None:
    assert SelfCollision(spec.model).distances(configurations(spec, spec.rest[None])).distance[0] >= APART


def test_goals_are_within_the_limits_and_clear_of_the_robot(spec: EmbodimentSpec) -> None:
    rows = goals(spec)
    assert (rows >= spec.limits.lower - 1e-9).all()
    assert (rows <= spec.limits.upper + 1e-9).all()
    arms = [i for name, group in spec.groups.items() if group.kind == "arm" for i in spec.joint_index(name)]
    margin = np.minimum(rows - spec.limits.lower, spec.limits.upper - rows)[:, arms]
    assert margin.min() >= (0.2 if spec.name != "so101" else 0.04)
    assert SelfCollision(spec.model).distances(configurations(spec, rows)).distance.min() >= APART


def test_the_fastest_block_asks_for_less_than_the_joints_can(spec: EmbodimentSpec) -> None:
    task, step = task_of(spec), 0.01
    map_ = goal_map(spec)
    for x, y in product(np.linspace(*task.region_x, 5), np.linspace(*task.region_y, 5)):
        here, there = map_.joints(np.array([[x, y]])), map_.joints(np.array([[x + step, y], [x, y + step]]))
        rate = np.sqrt((((there - here) / step) ** 2).sum(axis=0)) * task.speed[1]
        assert (rate < 0.6 * spec.limits.velocity).all()


def test_hands_stay_above_the_blocks_and_arms_above_the_table(spec: EmbodimentSpec) -> None:
    twin, task = twin_of(spec), task_of(spec)
    model, geometry = robot_model(spec.model), robot_geometry(spec.model)
    data, placed = model.createData(), geometry.createData()
    moving = [i for i, shape in enumerate(geometry.geometryObjects) if shape.parentJoint > 0]
    for q in configurations(spec, goals(spec, 3)):
        pin.updateGeometryPlacements(model, data, geometry, placed, q)
        for i in moving:
            x, y, lowest = _lowest(geometry.geometryObjects[i].geometry, placed.oMg[i])
            over_table = twin.table_x[0] <= x <= twin.table_x[1] and twin.table_y[0] <= y <= twin.table_y[1]
            if over_table and np.hypot(x, y) > 0.2:
                over_block = min(task.region_x) <= x and task.region_y[0] <= y <= task.region_y[1]
                assert lowest >= twin.table_height + (2 * task.half_size if over_block else 0.0) + 0.005


def _lowest(shape: pin.GeometryModel, placement: pin.SE3) -> tuple[float, float, float]:
    """Where a shape is over the table, and the height of the lowest point of the sphere or box around it, [m]."""
    shape.computeLocalAABB()
    low, high = shape.aabb_local.min_, shape.aabb_local.max_
    centre = placement.act(0.5 * (low + high))
    down = np.abs(placement.rotation[2]) * 0.5 * (high - low)
    return float(centre[0]), float(centre[1]), float(centre[2] - down.sum())


def test_blocks_are_in_the_central_square_and_large_enough(spec: EmbodimentSpec) -> None:
    task, model = task_of(spec), robot_model(spec.model)
    data = model.createData()
    pin.framesForwardKinematics(model, data, configurations(spec, spec.rest[None])[0])
    for camera in spec.cameras.values():
        mount = pin.SE3.Identity() if camera.mount == BASE else data.oMf[frame_index(model, camera.mount)]
        for corner in corners(task):
            right, up, depth = _seen(camera, mount.actInv(corner))
            half_view = depth * np.tan(np.radians(camera.fovy) / 2)
            assert max(abs(right), abs(up)) + task.half_size < half_view
            assert SQUARE * task.half_size / half_view >= BLOCK_PIXELS


def _seen(camera: Camera, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """A point of the mount as the camera has it: to the right, up and ahead, [m]."""
    forward = np.subtract(camera.look_at, camera.position)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, camera.up)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(right, forward), forward]) @ (point - np.array(camera.position))
