"""Every shipped robot's Pinocchio model against the published data, and against what its description promises."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest

from tests.kinematics.source_kinematics import Pose, SourceKinematics, joint_position, origin_pose
from tests.one_line import refused
from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import frame_index, joint_names, robot_model

if TYPE_CHECKING:
    from collections.abc import Mapping

FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@dataclass(frozen=True)
class Source:
    """Published data of a robot, or of a part of one.

    Attributes:
        file: Name in tests/data/robots.
        root: The link that the rest hangs on.
        prefix: What the model puts before its names.
        mirrored: Whether the model is its mirror image, in the plane y = 0.
        without: Links that the model does not have, and what hangs on them.
        driven: Joints that are free in the data and mimic another in the model: its name, and the multiplier.
        frozen: Joints that do not move in the model, [rad] or [m].
        masses: Of links, where the file has none, [kg].
        placeholders: Whether the data's velocity and effort limits are none.
    """

    file: str
    root: str
    prefix: str = ""
    mirrored: bool = False
    without: frozenset[str] = frozenset()
    driven: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    frozen: Mapping[str, float] = field(default_factory=dict)
    masses: Mapping[str, float] = field(default_factory=dict)
    placeholders: bool = False

    @property
    def facts(self) -> SourceKinematics:
        return read(self.file)


@cache
def read(file: str) -> SourceKinematics:
    return SourceKinematics(file)


# libfranka's test/fr3.urdf and franka_description's hand, by link.
FR3_MASSES = dict(
    zip(
        [*(f"fr3_link{i}" for i in range(8)), "fr3_hand", "fr3_leftfinger", "fr3_rightfinger"],
        [
            *(2.3966, 2.9274653454, 2.9355370338, 2.2449013699, 2.6155955791, 2.3271207594, 1.8170376524, 0.6271432862),
            *(0.73, 0.015, 0.015),
        ],
        strict=True,
    )
)
FR3 = {"file": "fr3.json", "root": "fr3_link0", "masses": FR3_MASSES}
G1 = {"file": "g1_29dof.json", "root": "pelvis"}
LEGS = frozenset({"left_hip_pitch_link", "right_hip_pitch_link"})
RUBBER_HANDS = frozenset({"left_rubber_hand", "right_rubber_hand"})
# The D1's hand is an O6, and its data has masses.
O6 = {
    "file": "linkerhand_o6_right.json",
    "root": "hand_base_link",
    "masses": {link: mass for link, mass in read("d1.json").masses.items() if link.startswith(("hand", *FINGERS))},
}
# pnd_mujoco's bridge for the thumb, an assumption of the model for the fingers.
ADAM_U_FINGERS = {
    f"{side}_{joint}": (f"{side}_{driver}", multiplier)
    for side in "LR"
    for joint, driver, multiplier in [
        ("thumb_PIP_joint", "thumb_MCP_joint2", 2.0),
        ("thumb_DIP_joint", "thumb_MCP_joint2", 2.0),
        *((f"{finger}_DIP_joint", f"{finger}_MCP_joint", 0.94) for finger in FINGERS[1:]),
    ]
}

SOURCES: dict[str, list[Source]] = {
    "adam_u": [Source("adam_u.json", "lifting_Columns", driven=ADAM_U_FINGERS)],
    "d1": [Source("d1.json", "link_base")],
    "fr3": [Source(**FR3, frozen={"fr3_finger_joint1": 0.04})],
    "fr3_gripper": [Source(**FR3)],
    "fr3_inspire": [
        Source(**FR3, without=frozenset({"fr3_hand"})),
        Source("inspire_right.json", "R_hand_base_link"),
    ],
    "g1": [Source(**G1, without=LEGS)],
    "g1_inspire": [
        Source(**G1, without=LEGS | RUBBER_HANDS),
        Source("inspire_left.json", "L_hand_base_link"),
        Source("inspire_right.json", "R_hand_base_link"),
    ],
    "g1_o6": [
        Source(**G1, without=LEGS | RUBBER_HANDS),
        Source(**O6, prefix="left_", mirrored=True),
        Source(**O6, prefix="right_"),
    ],
    "inspire_left": [Source("inspire_left.json", "L_hand_base_link")],
    "inspire_right": [Source("inspire_right.json", "R_hand_base_link")],
    "o6_left": [Source(**O6, mirrored=True)],
    "o6_right": [Source(**O6)],
    "rm75": [Source("rm75b.json", "base_link")],
    "rm75_xhand": [Source("rm75b.json", "base_link"), Source("xhand_right.json", "palm")],
    "sharpa": [Source("rm75b.json", "base_link"), Source("sharpa_wave_right.json", "right_hand_C_MC")],
    "sharpa_wave_left": [Source("sharpa_wave_left.json", "left_hand_C_MC")],
    "sharpa_wave_right": [Source("sharpa_wave_right.json", "right_hand_C_MC")],
    "so101": [Source("so101.json", "base_link", placeholders=True)],
    "xhand_right": [Source("xhand_right.json", "palm")],
}

DEGREES_OF_FREEDOM = {
    "adam_u": 31,
    "d1": 14,
    "fr3": 7,
    "fr3_gripper": 8,
    "fr3_inspire": 13,
    "g1": 17,
    "g1_inspire": 29,
    "g1_o6": 29,
    "inspire_left": 6,
    "inspire_right": 6,
    "o6_left": 6,
    "o6_right": 6,
    "rm75": 7,
    "rm75_xhand": 19,
    "sharpa": 29,
    "sharpa_wave_left": 22,
    "sharpa_wave_right": 22,
    "so101": 6,
    "xhand_right": 12,
}

# Frames that the data does not have and the models need: arm ends of xr_teleoperate, fingertips.
ADDED = {
    "g1": {"L_ee", "R_ee"},
    "g1_inspire": {"L_ee", "R_ee"},
    "g1_o6": {"L_ee", "R_ee", *(f"{side}_{finger}_tip" for side in ("left", "right") for finger in FINGERS)},
    "adam_u": {f"{side}_{finger}_tip" for side in "LR" for finger in FINGERS},
} | {name: {f"{f}_tip" for f in FINGERS} for name in ("o6_left", "o6_right", "xhand_right", "rm75_xhand")}


@cache
def model_of(name: str) -> pin.Model:
    return robot_model(name)


@cache
def data_of(name: str) -> pin.Data:
    return model_of(name).createData()


@cache
def urdf_of(name: str) -> ElementTree.Element:
    return ElementTree.fromstring(robot_urdf(name))


def configurations(name: str, count: int) -> np.ndarray:
    model = model_of(name)
    rng = np.random.default_rng(sorted(SOURCES).index(name))
    return rng.uniform(model.lowerPositionLimit, model.upperPositionLimit, (count, model.nq))


def named(name: str, q: np.ndarray) -> dict[str, float]:
    return dict(zip(joint_names(model_of(name)), q.tolist(), strict=True))


def link_poses(name: str, q: np.ndarray) -> dict[str, np.ndarray]:
    """Poses of all links in the model's base, shape (4, 4) each."""
    model, data = model_of(name), data_of(name)
    pin.framesForwardKinematics(model, data, q)
    return {
        frame.name: data.oMf[i].homogeneous.copy()
        for i, frame in enumerate(model.frames)
        if frame.type == pin.FrameType.BODY
    }


def source_poses(source: Source, positions: dict[str, float]) -> dict[str, Pose]:
    """Poses of the source's links in its root, at the model's positions."""
    known = {
        joint: positions[source.prefix + joint] for joint in source.facts.joints if source.prefix + joint in positions
    }
    known |= source.frozen
    known |= {joint: multiplier * known[driver] for joint, (driver, multiplier) in source.driven.items()}
    legs = [joint for joint in source.facts.joints if joint.split("_")[1:2] in (["hip"], ["knee"], ["ankle"])]
    poses = source.facts.poses(
        source.root, dict.fromkeys([*legs, "virtual_yaw_joint", "fr3_finger_joint1"], 0.0) | known
    )
    return {link: mirrored(pose) if source.mirrored else pose for link, pose in poses.items() if link in kept(source)}


def mirrored(pose: Pose) -> Pose:
    """In the plane y = 0: turns about x and z change their sign."""
    return Pose(pose.position * [1, -1, 1], pose.orientation * [1, -1, 1, -1])


def kept(source: Source) -> set[str]:
    """Links of the source that the model must have."""
    hanging = {source.root}
    grows = True
    while grows:
        more = {
            joint["child"]
            for joint in source.facts.joints.values()
            if joint["parent"] in hanging and joint["child"] not in source.without
        }
        grows = not more <= hanging
        hanging |= more
    return hanging


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two rotation matrices, [rad], exact where it is small."""
    return 2 * math.asin(min(1.0, float(np.linalg.norm(one - other)) / math.sqrt(8)))


def test_every_robot_is_tested():
    assert tuple(SOURCES) == robot_names()
    assert tuple(DEGREES_OF_FREEDOM) == robot_names()


@pytest.mark.parametrize("name", SOURCES)
def test_links_are_where_the_published_data_has_them(name):
    compared = 0
    for q in configurations(name, 50):
        found, positions = link_poses(name, q), named(name, q)
        for source in SOURCES[name]:
            root_inverse = np.linalg.inv(found[source.prefix + source.root])
            for link, expected in source_poses(source, positions).items():
                pose = root_inverse @ found[source.prefix + link]
                assert np.linalg.norm(pose[:3, 3] - expected.position) < 1e-6, link
                assert angle_between(pose[:3, :3], expected.matrix[:3, :3]) < 1e-6, link
                compared += 1
    assert compared == 50 * sum(len(kept(source)) for source in SOURCES[name])


@pytest.mark.parametrize("name", SOURCES)
def test_there_is_no_link_beyond_the_data_but_those_named_here(name):
    published = {source.prefix + link for source in SOURCES[name] for link in kept(source)}
    assert set(link_poses(name, configurations(name, 1)[0])) - published == ADDED.get(name, set())


@pytest.mark.parametrize("name", SOURCES)
def test_parts_are_mounted_where_the_description_says(name):
    parts = robot_description(name).parts[1:]
    found = link_poses(name, configurations(name, 1)[0])
    hands = [source.prefix + source.root for source in SOURCES[name][1:]] or ["fr3_hand"][: len(parts)]
    assert len(hands) == len(parts)
    for part, hand in zip(parts, hands, strict=True):
        expected = found[part.parent] @ origin_pose(part.xyz, part.rpy).matrix
        np.testing.assert_allclose(found[hand], expected, atol=1e-9)


@pytest.mark.parametrize("name", SOURCES)
def test_joints_and_limits_are_those_of_the_data(name):
    model = model_of(name)
    assert (model.nq, model.nv, model.name) == (DEGREES_OF_FREEDOM[name], DEGREES_OF_FREEDOM[name], name)
    expected = {}
    for source in SOURCES[name]:
        for joint in source.facts.joints.values():
            moves = joint["type"] != "fixed" and "mimic" not in joint and joint["name"] not in source.driven
            if moves and joint["child"] in kept(source) - {source.root} and joint["name"] not in source.frozen:
                expected[source.prefix + joint["name"]] = (joint["limit"], source.placeholders)
    assert set(joint_names(model)) == set(expected)
    for i, joint_name in enumerate(joint_names(model)):
        limit, placeholders = expected[joint_name]
        assert model.joints[model.getJointId(joint_name)].idx_q == i
        assert (model.lowerPositionLimit[i], model.upperPositionLimit[i]) == (limit["lower"], limit["upper"])
        if not placeholders:
            assert (model.velocityLimit[i], model.effortLimit[i]) == (limit["velocity"], limit["effort"])


@pytest.mark.parametrize("name", SOURCES)
def test_joints_that_mimic_stay_within_their_own_limits(name):
    model = model_of(name)
    ends = named(name, model.lowerPositionLimit), named(name, model.upperPositionLimit)
    for joint in urdf_of(name).findall("joint"):
        mimic, limit = joint.find("mimic"), joint.find("limit")
        if mimic is not None:
            lower, upper = float(limit.get("lower")), float(limit.get("upper"))
            for positions in ends:
                position = joint_position({"name": joint.get("name"), "mimic": dict(mimic.attrib)}, positions)
                assert lower - 1e-9 <= position <= upper + 1e-9, joint.get("name")


@pytest.mark.parametrize("name", SOURCES)
def test_masses_are_those_of_the_data(name):
    found = {
        link.get("name"): float(link.find("inertial/mass").get("value"))
        for link in urdf_of(name).findall("link")
        if link.find("inertial") is not None
    }
    for source in SOURCES[name]:
        masses = {**source.facts.masses, **source.masses}
        for link in kept(source) & set(masses):
            # What has at most a gram in the data is a frame, a label or a thin layer and may be massless.
            expected = {masses[link]} | ({0.0} if masses[link] <= 1e-3 else set())
            assert found.get(source.prefix + link, 0.0) in expected, link


@pytest.mark.parametrize("name", SOURCES)
def test_inertias_are_those_of_something_solid(name):
    seen = 0
    for link in urdf_of(name).findall("link"):
        inertia = link.find("inertial/inertia")
        if inertia is None:
            continue
        xx, yy, zz, xy, xz, yz = (float(inertia.get(f"i{key}")) for key in ("xx", "yy", "zz", "xy", "xz", "yz"))
        small, middle, large = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        mass = float(link.find("inertial/mass").get("value"))
        assert small > 0, link.get("name")
        assert small + middle >= large * (1 - 1e-6), link.get("name")
        # The radius of gyration of a link is no larger than a robot.
        assert math.sqrt(large / mass) < 1.0, link.get("name")
        seen += 1
    assert seen >= DEGREES_OF_FREEDOM[name]


@pytest.mark.parametrize("name", SOURCES)
def test_what_the_description_promises_is_there(name):
    description, links = robot_description(name), set(link_poses(name, configurations(name, 1)[0]))
    assert set(description.end_effectors.values()) | set(description.cameras.values()) <= links
    assert {link for pair in description.self_collision for link in pair} <= links
    pairs = [frozenset(pair) for pair in description.self_collision]
    assert len(set(pairs)) == len(pairs)
    for hand in description.hands.values():
        assert {hand.palm, *hand.fingertips.values()} <= links
        assert len(set(hand.fingertips.values())) == len(hand.fingertips)


@pytest.mark.parametrize("name", SOURCES)
def test_fingertips_move_against_their_palm(name):
    model = model_of(name)
    data = model.createData()
    (q,) = configurations(name, 1)
    for hand in robot_description(name).hands.values():
        assert set(hand.fingertips) == set(FINGERS)
        palm = pin.computeFrameJacobian(model, data, q, frame_index(model, hand.palm), pin.LOCAL).any(axis=0)
        owners = []
        for tip in hand.fingertips.values():
            moved = pin.computeFrameJacobian(model, data, q, frame_index(model, tip), pin.LOCAL).any(axis=0)
            assert (moved & palm == palm).all()
            owners.append(frozenset(np.flatnonzero(moved & ~palm).tolist()))
        assert all(owners)
        assert sum(map(len, owners)) == len(frozenset.union(*owners)), "fingers share no joint"


def test_the_fr3_in_its_ready_pose():
    poses = link_poses("fr3", np.array([0, -math.pi / 4, 0, -3 * math.pi / 4, 0, math.pi / 2, math.pi / 4]))
    assert poses["fr3_link8"][:3, 3] == pytest.approx([0.3069, 0, 0.5903], abs=5e-5)
    assert poses["fr3_hand_tcp"][:3, 3] == pytest.approx([0.3069, 0, 0.4869], abs=5e-5)
    np.testing.assert_allclose(poses["fr3_hand_tcp"][:3, :3], np.diag([1, -1, -1]), atol=1e-9)


def test_the_so101_at_zero():
    assert link_poses("so101", np.zeros(6))["gripper_frame_link"][:3, 3] == pytest.approx([0.3914, 0, 0.2265], abs=5e-5)


def test_the_d1_in_its_home_pose():
    degrees = dict.fromkeys(joint_names(model_of("d1")), 0.0) | {"joint_2": -90.0, "joint_3": 90.0}
    q = np.radians([degrees[joint] for joint in joint_names(model_of("d1"))])
    assert link_poses("d1", q)["ee"][:3, 3] == pytest.approx([0.110, 0, 0.162], abs=5e-4)


@pytest.mark.parametrize(("name", "left", "right"), [("o6", "", ""), ("g1_o6", "left_", "right_")])
def test_the_left_o6_is_the_mirror_image_of_the_right_one(name, left, right):
    left_name, right_name = (f"{name}_left", f"{name}_right") if name == "o6" else (name, name)
    rng = np.random.default_rng(11)
    joints = sorted(read("linkerhand_o6_right.json").joints)
    for _ in range(20):
        amounts = dict(zip(joints, rng.uniform(0, 0.5, len(joints)), strict=True))
        poses = []
        for model_name, prefix in ((left_name, left), (right_name, right)):
            q = [amounts.get(joint.removeprefix(prefix), 0.0) for joint in joint_names(model_of(model_name))]
            found = link_poses(model_name, np.array(q))
            base = np.linalg.inv(found[f"{prefix}hand_base_link"])
            poses.append([base @ found[f"{prefix}{finger}_tip"] for finger in FINGERS])
        mirror = np.diag([1.0, -1.0, 1.0, 1.0])
        np.testing.assert_allclose(poses[0], [mirror @ pose @ mirror for pose in poses[1]], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "left", "right", "fingers", "tolerance"),
    [
        ("g1_o6", "left_{}_tip", "right_{}_tip", FINGERS, 1e-9),
        # The Inspire hands' published fingers mirror each other within a millimetre, the thumbs do not.
        ("g1_inspire", "L_{}_tip", "R_{}_tip", FINGERS[1:], 1e-3),
        ("g1_inspire", "L_{}_tip", "R_{}_tip", ("thumb",), 0.015),
    ],
)
def test_the_g1s_hands_are_mounted_as_mirror_images(name, left, right, fingers, tolerance):
    found = link_poses(name, np.zeros(29))
    wrists = [np.linalg.inv(found[f"{side}_wrist_yaw_link"]) for side in ("left", "right")]
    for finger in fingers:
        one = (wrists[0] @ found[left.format(finger)])[:3, 3]
        other = (wrists[1] @ found[right.format(finger)])[:3, 3]
        np.testing.assert_allclose(one, other * [1, -1, 1], atol=tolerance)


JACOBIANS = {
    "computeFrameJacobian": pin.computeFrameJacobian,
    "getFrameJacobian": lambda model, data, q, frame, axes: (
        pin.computeJointJacobians(model, data, q),
        pin.getFrameJacobian(model, data, frame, axes),
    )[1],
}


@pytest.mark.parametrize("axes", [pin.LOCAL, pin.LOCAL_WORLD_ALIGNED])
@pytest.mark.parametrize("way", JACOBIANS)
@pytest.mark.parametrize("name", ["o6_right", "fr3_gripper", "adam_u", "g1_inspire"])
def test_jacobians_have_the_share_of_joints_that_mimic(name, way, axes):
    model = model_of(name)
    data = model.createData()
    (q,) = configurations(name, 1)
    step = 1e-6
    ahead = [link_poses(name, q + step * unit) for unit in np.eye(model.nq)]
    behind = [link_poses(name, q - step * unit) for unit in np.eye(model.nq)]
    for link, pose in link_poses(name, q).items():
        jacobian = JACOBIANS[way](model, data, q, frame_index(model, link), axes)
        assert jacobian.shape == (6, model.nq)
        turned = np.eye(3) if axes == pin.LOCAL_WORLD_ALIGNED else pose[:3, :3].T
        for column in range(model.nq):
            rate = (ahead[column][link] - behind[column][link]) / (2 * step)
            spin = rate[:3, :3] @ pose[:3, :3].T
            np.testing.assert_allclose(turned @ rate[:3, 3], jacobian[:3, column], atol=1e-7)
            np.testing.assert_allclose(turned @ [spin[2, 1], spin[0, 2], spin[1, 0]], jacobian[3:, column], atol=1e-7)


@pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs the `sim` extra")
@pytest.mark.parametrize("name", SOURCES)
def test_mujoco_reads_the_same_robot(name):
    import mujoco

    scene = mujoco.MjModel.from_xml_string(robot_urdf(name))
    state = mujoco.MjData(scene)
    mimics = {
        joint.get("name"): {"name": joint.get("name"), "mimic": dict(joint.find("mimic").attrib)}
        for joint in urdf_of(name).findall("joint")
        if joint.find("mimic") is not None
    }
    assert scene.nq == DEGREES_OF_FREEDOM[name] + len(mimics)
    for q in configurations(name, 5):
        found, positions = link_poses(name, q), named(name, q)
        for i in range(scene.njnt):
            joint = scene.joint(i)
            position = joint_position(mimics.get(joint.name, {"name": joint.name}), positions)
            state.qpos[joint.qposadr[0]] = position
        mujoco.mj_kinematics(scene, state)
        bodies = [scene.body(i).name for i in range(1, scene.nbody)]
        assert set(bodies) == set(found)
        for body in bodies:
            np.testing.assert_allclose(state.body(body).xpos, found[body][:3, 3], atol=1e-6)
            np.testing.assert_allclose(state.body(body).xmat.reshape(3, 3), found[body][:3, :3], atol=1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_all_collision_shapes_are_in_the_geometry(name):
    model, geometry = model_of(name), robot_geometry(name)
    on_links = [model.frames[shape.parentFrame].name for shape in geometry.geometryObjects]
    expected = [link.get("name") for link in urdf_of(name).findall("link") for _ in link.findall("collision")]
    assert sorted(on_links) == sorted(expected)
    assert len(expected) > DEGREES_OF_FREEDOM[name]
    assert len(geometry.collisionPairs) == 0


def test_shapes_of_a_frozen_finger_stand_where_the_finger_stands():
    frozen, moving = robot_geometry("fr3"), robot_geometry("fr3_gripper")
    models = model_of("fr3"), model_of("fr3_gripper")
    q = configurations("fr3", 1)[0]
    placements = []
    for model, geometry, positions in zip(models, (frozen, moving), (q, [*q, 0.04]), strict=True):
        data, shapes = model.createData(), geometry.createData()
        pin.updateGeometryPlacements(model, data, geometry, shapes, np.array(positions))
        placements.append({shape.name: shapes.oMg[i].homogeneous for i, shape in enumerate(geometry.geometryObjects)})
    assert placements[0].keys() == placements[1].keys()
    for shape, placement in placements[0].items():
        np.testing.assert_allclose(placement, placements[1][shape], atol=1e-9)


def test_a_link_and_a_joint_of_one_name_are_told_apart():
    model = model_of("adam_u")
    assert model.frames[frame_index(model, "waistRoll")].type == pin.FrameType.BODY
    assert model.frames[frame_index(model, "waistYaw")].type == pin.FrameType.JOINT
    assert model.frames[frame_index(model, "L_NOITOM_HAND_JOINT")].type == pin.FrameType.FIXED_JOINT


@pytest.mark.parametrize(
    ("name", "frame", "near"),
    [("fr3", "fr3_hand_tpc", "fr3_hand_tcp"), ("g1", "l_ee", "L_ee"), ("so101", "wheel", "expected one of base_link")],
)
def test_an_unknown_frame_is_refused_with_those_like_it(name, frame, near):
    with refused(UnknownModel, frame, name, near):
        frame_index(model_of(name), frame)


def test_an_unknown_robot_is_refused_with_those_like_it():
    with refused(UnknownModel, "rm57", "rm75"):
        robot_model("rm57")
    with refused(UnknownModel, "rm57", "rm75"):
        robot_geometry("rm57")


def test_the_joints_of_q_are_named_in_its_order():
    assert joint_names(model_of("fr3_gripper")) == (*(f"fr3_joint{i}" for i in range(1, 8)), "fr3_finger_joint1")
    model = model_of("o6_right")
    q = np.zeros(6)
    q[joint_names(model).index("index_mcp_pitch")] = 1.0
    moved = [
        finger
        for finger in FINGERS
        if not np.allclose(
            link_poses("o6_right", q)[f"{finger}_tip"], link_poses("o6_right", np.zeros(6))[f"{finger}_tip"]
        )
    ]
    assert moved == ["index"]
