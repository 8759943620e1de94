"""Self-collision distances: against support functions evaluated here, against brute force, and along motions."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pinocchio as pin
import pytest

from tests.one_line import refused
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.errors import KinematicsError, UnknownModel, WrongShape
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import joint_names, robot_model
from unichunk.kinematics.self_collision import SelfCollision, shapes_by_link

ROBOTS = tuple(name for name in robot_names() if robot_description(name).self_collision)
HANDS = tuple(name for name in robot_names() if not robot_description(name).self_collision)


@cache
def self_collision(name: str) -> SelfCollision:
    return SelfCollision(name)


def configurations(name: str, count: int, seed: int = 0):
    model = self_collision(name).model
    return np.random.default_rng(seed).uniform(model.lowerPositionLimit, model.upperPositionLimit, (count, model.nq))


def rest(name: str):
    model = self_collision(name).model
    return np.clip(np.zeros(model.nq), model.lowerPositionLimit, model.upperPositionLimit)


def at(name: str, **positions: float):
    """The rest configuration, with some joints elsewhere."""
    q, names = rest(name), joint_names(self_collision(name).model)
    for joint, position in positions.items():
        q[names.index(joint)] = position
    return q[None]


# The signed distance of convex shapes, written down a second time: max over unit u of -(h_A(u) + h_B(-u)), with h the
# support functions. It is the distance where it is positive, and minus the depth of the overlap where it is negative.


def support(shape, placement, directions):
    local = directions @ placement.rotation
    kind = type(shape).__name__
    if kind == "Box":
        reach = np.abs(local) @ shape.halfSide
    elif kind == "Cylinder":
        reach = shape.halfLength * np.abs(local[:, 2]) + shape.radius * np.hypot(local[:, 0], local[:, 1])
    else:
        assert kind == "Sphere"
        reach = np.full(len(local), shape.radius)
    return directions @ placement.translation + reach


def signed_distance(shape_a, placement_a, shape_b, placement_b):
    def gap(directions):
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        values = -support(shape_a, placement_a, directions) - support(shape_b, placement_b, -directions)
        return values, directions

    random = np.random.default_rng(0)
    values, directions = gap(random.normal(size=(4000, 3)))
    best = values.max()
    # Where the shapes overlap there are many local maxima, about one for every face.
    for direction in directions[np.argsort(values)[-30::3]]:
        here = direction
        for scale in 0.2 * 0.5 ** np.arange(16):
            found, around = gap(np.vstack([here, here + scale * random.normal(size=(60, 3))]))
            here, best = around[found.argmax()], max(best, found.max())
    return best


def link_distance(name, q, one, other):
    model, geometry = robot_model(name), robot_geometry(name)
    data, geometry_data = model.createData(), geometry.createData()
    pin.updateGeometryPlacements(model, data, geometry, geometry_data, q)
    shapes = shapes_by_link(model, geometry)
    return min(
        signed_distance(
            geometry.geometryObjects[a].geometry,
            geometry_data.oMg[a],
            geometry.geometryObjects[b].geometry,
            geometry_data.oMg[b],
        )
        for a in shapes[one]
        for b in shapes[other]
    )


@pytest.mark.parametrize("name", ROBOTS)
def test_the_distance_of_the_closest_pair_is_that_of_the_support_functions(name):
    q = np.concatenate([configurations(name, 5), 0.3 * configurations(name, 3) + 0.7 * rest(name)])
    result = self_collision(name).distances(q)
    for configuration, distance, pair in zip(q, *result, strict=True):
        expected = link_distance(name, configuration, *self_collision(name).pairs[pair])
        assert distance == pytest.approx(expected, abs=5e-5)


def test_deep_overlaps_are_measured_right():
    """A fingertip inside the torso, near its top: Coal measures spheres to the side there."""
    name = "g1_o6"
    measured = self_collision(name)
    q = configurations(name, 1500, seed=3)
    all_distances = measured.all_distances(q)
    tips = [i for i, pair in enumerate(measured.pairs) if pair[0] == "torso_link" and "distal" in pair[1]]
    deepest = np.argsort(all_distances[:, tips].min(axis=1))[:5]
    for row in deepest:
        pair = tips[int(all_distances[row, tips].argmin())]
        expected = link_distance(name, q[row], *measured.pairs[pair])
        assert expected < -0.02
        assert all_distances[row, pair] == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("name", ROBOTS)
def test_leaving_pairs_out_by_their_spheres_changes_nothing(name):
    q = configurations(name, 150, seed=1)
    result, everything = self_collision(name).distances(q), self_collision(name).all_distances(q)
    np.testing.assert_allclose(result.distance, everything.min(axis=1), atol=5e-6)
    of_that_pair = np.take_along_axis(everything, result.pair[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(result.distance, of_that_pair, atol=5e-6)


@pytest.mark.parametrize("name", ROBOTS)
def test_at_rest_every_robot_is_clear_of_itself(name):
    assert 0.015 < self_collision(name).distances(rest(name)[None]).distance[0] < math.inf


@pytest.mark.parametrize(
    ("name", "positions", "links"),
    [
        ("so101", {"shoulder_lift": 1.7, "elbow_flex": 1.6, "wrist_flex": 1.6}, {"base_link", "shoulder_link"}),
        ("fr3", {"fr3_joint2": 1.6, "fr3_joint4": -2.9, "fr3_joint6": 1.5}, {"fr3_link0"}),
        ("g1", {"left_shoulder_roll_joint": -0.5, "left_elbow_joint": 0.0}, {"torso_link"}),
    ],
)
def test_folded_into_itself_is_negative_and_says_where(name, positions, links):
    result = self_collision(name).distances(at(name, **positions))
    assert result.distance[0] < -0.005
    assert links & set(self_collision(name).pairs[result.pair[0]])


@pytest.mark.parametrize("name", ["g1", "g1_o6"])  # the Inspire hands' thumbs are no mirror images in the source
def test_a_mirrored_pose_is_as_close(name):
    """Joints that turn about x or z change their sign from left to right, those about y do not."""
    model = self_collision(name).model
    names = joint_names(model)
    arms = [joint for joint in names if joint.startswith("left_") and ("shoulder" in joint or "elbow" in joint)]
    random = np.random.default_rng(4)
    for _ in range(20):
        positions = {joint: random.uniform(-1, 1) for joint in arms}
        mirrored = {
            joint.replace("left", "right"): -value if "roll" in joint or "yaw" in joint else value
            for joint, value in positions.items()
        }
        left, right = (self_collision(name).distances(at(name, **pose)) for pose in (positions, mirrored))
        assert left.distance[0] == pytest.approx(right.distance[0], abs=1e-4)


@pytest.mark.parametrize("name", ROBOTS)
def test_it_changes_no_faster_than_the_shapes_move(name):
    """Every point moves by less than the sum of the joints' steps times the robot's reach."""
    measured = self_collision(name)
    rows = np.linspace(configurations(name, 4, seed=2), configurations(name, 4, seed=5), 60).reshape(
        -1, measured.model.nq
    )
    distance = measured.distances(rows).distance.reshape(60, 4)
    reach = 1.3
    # Mimicking joints add their own share: up to four times that of the one they follow.
    fastest = 4 * reach * np.abs(np.diff(rows.reshape(60, 4, -1), axis=0)).sum(axis=-1)
    assert (np.abs(np.diff(distance, axis=0)) <= fastest + 1e-5).all()


def test_small_steps_change_little():
    measured = self_collision("g1_o6")
    q = configurations("g1_o6", 200)
    near = measured.distances(q + 1e-7).distance
    np.testing.assert_allclose(near, measured.distances(q).distance, atol=2e-5)


@pytest.mark.parametrize("name", ["fr3_inspire", "adam_u"])
def test_rows_do_not_know_of_each_other(name):
    q = configurations(name, 150)
    together = self_collision(name).distances(q)
    shuffled = np.random.default_rng(0).permutation(len(q))
    again = self_collision(name).distances(q[shuffled])
    np.testing.assert_array_equal(again.distance, together.distance[shuffled])
    np.testing.assert_array_equal(again.pair, together.pair[shuffled])
    alone = self_collision(name).distances(q[77:78])
    assert (alone.distance[0], alone.pair[0]) == (together.distance[77], together.pair[77])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200])
def test_a_row_that_is_not_finite_is_never_safe_and_spoils_no_other(bad):
    q = configurations("so101", 3)
    expected = self_collision("so101").distances(q)
    q[1, 2] = bad
    result = self_collision("so101").distances(q)
    assert result.distance[1] == -math.inf
    assert result.pair[1] == -1
    np.testing.assert_array_equal(result.distance[[0, 2]], expected.distance[[0, 2]])
    np.testing.assert_array_equal(self_collision("so101").all_distances(q)[1], -math.inf)


def test_far_beyond_the_limits_is_measured_all_the_same():
    q = np.random.default_rng(0).uniform(-1e5, 1e5, (200, 8))
    assert np.isfinite(self_collision("fr3_gripper").distances(q).distance).all()


@pytest.mark.parametrize("name", HANDS)
def test_a_hand_alone_has_no_pairs_and_is_infinitely_clear(name):
    measured = self_collision(name)
    result = measured.distances(np.stack([rest(name), np.full(measured.model.nq, math.nan)]))
    np.testing.assert_array_equal(result.distance, [math.inf, -math.inf])
    np.testing.assert_array_equal(result.pair, [-1, -1])
    assert measured.all_distances(rest(name)[None]).shape == (1, 0)


def test_no_rows_give_no_distances():
    result = self_collision("so101").distances(np.zeros((0, 6)))
    assert result.distance.shape == result.pair.shape == (0,)
    assert self_collision("so101").all_distances(np.zeros((0, 6))).shape == (0, 11)


@pytest.mark.parametrize("shape", [(6,), (4, 5), (2, 4, 6), ()])
def test_wrong_shapes_are_refused(shape):
    for method in (self_collision("so101").distances, self_collision("so101").all_distances):
        with refused(WrongShape, "q: expected", "6)", str(shape)):
            method(np.zeros(shape))


@pytest.mark.parametrize("name", ROBOTS)
def test_every_pair_is_of_links_with_shapes_and_listed_once(name):
    shapes = shapes_by_link(robot_model(name), robot_geometry(name))
    pairs = robot_description(name).self_collision
    assert {link for pair in pairs for link in pair} <= set(shapes)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("name", ["g1", "g1_o6", "g1_inspire", "adam_u"])
def test_what_holds_for_the_left_holds_for_the_right(name):
    def mirrored(link):
        for left, right in (("left_", "right_"), ("L_", "R_"), ("Left", "Right")):
            if left in link or right in link:
                return link.replace(left, "\0").replace(right, left).replace("\0", right)
        return link

    pairs = {frozenset(pair) for pair in robot_description(name).self_collision}
    assert {frozenset(map(mirrored, pair)) for pair in pairs} == pairs


def test_a_pair_that_cannot_be_measured_is_refused():
    with refused(UnknownModel, "so101", "elbow", "collision shape", "base_link"):
        SelfCollision("so101", pairs=[("base_link", "elbow")])
    with refused(UnknownModel, "gripper_frame_link", "did you mean gripper_link"):
        SelfCollision("so101", pairs=[("base_link", "gripper_frame_link")])
    with pytest.raises(KinematicsError, match="so10l"):
        SelfCollision("so10l")
