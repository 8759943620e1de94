"""A user's own URDF in the place of a shipped one: what it may change, and what must be as it was."""

from __future__ import annotations

import random
import re
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from unichunk.kinematics import InverseKinematics
from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.description import robot_names
from unichunk.kinematics.errors import UnknownModel, UrdfError
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import frame_index, joint_names, robot_model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.urdf"


def changed(name, before, after):
    """The shipped URDF with the first match of a pattern replaced."""
    text, count = re.subn(before, after, robot_urdf(name), count=1, flags=re.DOTALL)
    assert count == 1
    return text


def pose(model, frame, q):
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    return data.oMf[frame_index(model, frame)].homogeneous.copy()


@pytest.mark.parametrize("name", robot_names())
def test_the_order_of_joints_in_the_file_does_not_matter(name, path):
    robot = ElementTree.fromstring(robot_urdf(name))
    elements = list(robot)
    random.Random(name).shuffle(elements)
    robot[:] = elements
    path.write_text(ElementTree.tostring(robot, encoding="unicode"))
    mine, shipped = robot_model(name, path), robot_model(name)
    assert list(mine.names) == list(shipped.names)
    assert joint_names(mine) == joint_names(shipped)
    np.testing.assert_array_equal(mine.lowerPositionLimit, shipped.lowerPositionLimit)
    q = np.random.default_rng(5).uniform(shipped.lowerPositionLimit, shipped.upperPositionLimit)
    for frame in shipped.frames:
        if frame.type == pin.FrameType.BODY:
            np.testing.assert_allclose(pose(mine, frame.name, q), pose(shipped, frame.name, q), atol=1e-12)


def test_a_calibration_moves_what_hangs_on_the_joint(path):
    path.write_text(changed("so101", r'(name="elbow_flex".*?)-0\.11257 -0\.028', r"\1-0.11357 -0.028"))
    mine, shipped = robot_model("so101", path), robot_model("so101")
    moved = pose(mine, "gripper_frame_link", np.zeros(6)) - pose(shipped, "gripper_frame_link", np.zeros(6))
    assert np.linalg.norm(moved[:3, 3]) == pytest.approx(0.001, abs=1e-9)
    assert mine.name == "so101"


def test_limits_are_those_of_the_file(path):
    path.write_text(changed("so101", r'(name="elbow_flex".*?)upper="1\.69"', r'\1upper="1.5"'))
    mine = robot_model("so101", path)
    assert mine.upperPositionLimit[joint_names(mine).index("elbow_flex")] == 1.5


def test_a_path_may_be_text_and_the_file_may_have_more_frames(path):
    more = (
        '<link name="tool"/><joint name="mount" type="fixed"><parent link="gripper_link"/><child link="tool"/></joint>'
    )
    path.write_text(robot_urdf("so101").replace("</robot>", more + "</robot>"))
    assert frame_index(robot_model("so101", str(path)), "tool") > 0


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("so101", 'name="elbow_flex"', 'name="elbow"', ["missing joints elbow_flex", "unexpected joints elbow (make"]),
        ("so101", '(name="elbow_flex" type=)"revolute"', r'\1"fixed"', ["elbow_flex is fixed, expected revolute"]),
        (
            "so101",
            '(name="elbow_flex" type=)"revolute"',
            r'\1"continuous"',
            ["elbow_flex is continuous, expected revolute"],
        ),
        (
            "so101",
            '(name="gripper_frame_joint" type=)"fixed"(.*?)</joint>',
            r'\1"revolute"\2<limit lower="0" upper="1" velocity="1" effort="1"/></joint>',
            ["gripper_frame_joint is revolute, expected fixed"],
        ),
        ("fr3_gripper", '<mimic joint="fr3_finger_joint1"[^>]*/>', "", ["fr3_finger_joint2 is prismatic, expected"]),
        (
            "fr3_gripper",
            '(name="fr3_finger_joint2" type=)"prismatic"',
            r'\1"revolute"',
            ["revolute mimicking fr3_finger_joint1, expected prismatic mimicking fr3_finger_joint1"],
        ),
        (
            "fr3_gripper",
            '<mimic joint="fr3_finger_joint1"',
            '<mimic joint="fr3_joint7"',
            ["mimicking fr3_joint7, expected prismatic mimicking fr3_finger_joint1"],
        ),
    ],
)
def test_other_joints_are_told_by_name(path, name, before, after, words):
    path.write_text(changed(name, before, after))
    with refused(UrdfError, "mine.urdf", name, *words):
        robot_model(name, path)


def test_another_robot_is_told_in_one_line(path):
    path.write_text(robot_urdf("g1"))
    with refused(UrdfError, "mine.urdf", "so101", "missing joints", "elbow_flex", "unexpected joints", "more"):
        robot_model("so101", path)


@pytest.mark.parametrize("limit", ['lower="nan" upper="1"', 'lower="1" upper="1"', 'lower="1" upper="-1"', 'lower=""'])
def test_a_limit_that_leaves_nothing_is_refused(path, limit):
    path.write_text(changed("so101", r'(name="elbow_flex".*?)lower="[^"]*" upper="[^"]*"', rf"\1{limit}"))
    with refused(UrdfError, "mine.urdf", "elbow_flex", "limit"):
        robot_model("so101", path)


def test_joints_in_another_order_along_the_arm_are_refused(path):
    names = {"wrist_flex": "wrist_roll", "wrist_roll": "wrist_flex"}
    path.write_text(re.sub(r'joint name="(wrist_\w+)"', lambda m: f'joint name="{names[m[1]]}"', robot_urdf("so101")))
    with refused(UrdfError, "mine.urdf", "expected wrist_flex after elbow_flex, got wrist_roll after elbow_flex"):
        robot_model("so101", path)


def test_limbs_in_another_order_are_refused(path):
    robot = ElementTree.fromstring(robot_urdf("g1"))
    shoulder = robot.find("joint[@name='left_shoulder_pitch_joint']/parent")
    ElementTree.SubElement(robot, "link", name="mount")
    joint = ElementTree.SubElement(robot, "joint", name="z_mount", type="fixed")
    ElementTree.SubElement(joint, "parent", link=shoulder.get("link"))
    ElementTree.SubElement(joint, "child", link="mount")
    shoulder.set("link", "mount")
    path.write_text(ElementTree.tostring(robot, encoding="unicode"))
    with refused(UrdfError, "mine.urdf", "expected left_shoulder_pitch_joint", "got right_shoulder_pitch_joint"):
        robot_model("g1", path)


@pytest.mark.parametrize("name", robot_names())
def test_a_calibration_of_every_joint_passes(name, path):
    """A degree and two millimetres along every axis of every joint, and whatever else a user may change."""
    robot, rng = ElementTree.fromstring(robot_urdf(name)), np.random.default_rng(11)
    moving = [joint for joint in robot.findall("joint") if joint.get("type") != "fixed"]
    for joint in moving:
        origin = joint.find("origin")
        for key, size in (("xyz", 0.002), ("rpy", np.radians(1.0))):
            shipped = np.array([float(word) for word in origin.get(key, "0 0 0").split()])
            origin.set(key, " ".join(map(repr, (shipped + rng.choice([-size, size], 3)).tolist())))
        limit = joint.find("limit")
        for key in ("lower", "upper"):
            limit.set(key, repr(0.9 * float(limit.get(key))))
    for mass in robot.iter("mass"):
        mass.set("value", repr(1.5 * float(mass.get("value"))))
    ElementTree.SubElement(robot, "link", name="extra")
    mount = ElementTree.SubElement(robot, "joint", name="extra_joint", type="fixed")
    ElementTree.SubElement(mount, "parent", link=moving[-1].find("child").get("link"))
    ElementTree.SubElement(mount, "child", link="extra")
    ElementTree.SubElement(mount, "origin", xyz="0 0 0.5")
    path.write_text(ElementTree.tostring(robot, encoding="unicode"))
    mine = robot_model(name, path)
    assert joint_names(mine) == joint_names(robot_model(name))
    assert frame_index(mine, "extra") > 0


@pytest.mark.parametrize(("degrees", "passes"), [(2, True), (25, True), (35, False), (180, False)])
def test_how_far_an_axis_may_be_turned(path, degrees, passes):
    """That of the SO-101's jaw, which moves no frame of the description."""
    axis = f"{np.sin(np.radians(degrees)):.9f} 0 {np.cos(np.radians(degrees)):.9f}"
    path.write_text(changed("so101", r'(name="gripper" .*?<axis xyz=)"0 0 1"', rf'\1"{axis}"'))
    if passes:
        robot_model("so101", path)
    else:
        with refused(UrdfError, "mine.urdf", "joint gripper", "axis within 30 degrees", f"got {degrees}:"):
            robot_model("so101", path)


@pytest.mark.parametrize(("metres", "passes"), [(0.003, True), (0.09, True), (0.11, False), (103.4, False)])
def test_how_far_a_frame_may_be_moved(path, metres, passes):
    path.write_text(changed("fr3", '"0 0 0.1034"', f'"0 0 {0.1034 + metres}"'))
    if passes:
        robot_model("fr3", path)
    else:
        where = [
            "frame fr3_hand_tcp",
            "to 0.1 m",
            f"{metres:.3g} m away",
            f"origin of link fr3_hand_tcp {metres:.3g} m",
        ]
        with refused(UrdfError, "mine.urdf", *where, "in metres"):
            robot_model("fr3", path)


def test_a_frame_that_is_right_in_the_middle_of_the_ranges_alone_is_refused(path):
    """The fingertip's joint follows three times as far, to both sides of where it is when the finger is half closed."""
    model = robot_model("adam_u")
    knuckle = joint_names(model).index("L_index_MCP_joint")
    middle = (model.lowerPositionLimit[knuckle] + model.upperPositionLimit[knuckle]) / 2
    after = rf'\1 multiplier="2.94" offset="{-2 * middle}"'
    path.write_text(changed("adam_u", '(<mimic joint="L_index_MCP_joint") multiplier="0.94" offset="0"', after))
    with refused(UrdfError, "mine.urdf", "frame L_index_tip", "to 30 degrees", "turned by"):
        robot_model("adam_u", path)


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("so101", r'(name="elbow_flex".*?)upper="1\.69"', r'\1upper="157"', ["elbow_flex", "157", "12.57", "degrees"]),
        ("so101", r'(name="elbow_flex".*?)lower="[^"]*"', r'\1lower="-90"', ["elbow_flex", "-90", "12.57", "degrees"]),
        ("fr3_gripper", 'upper="0.04"', 'upper="40"', ["fr3_finger_joint1", "within 10 m", "40", "millimetres"]),
        (
            "fr3",
            r'(name="fr3_joint2".*?<axis xyz=)"0 0 1"',
            r'\1"0 0 -1"',
            ["fr3_joint2", "got 180:", "0.00 1.00 0.00"],
        ),
        (
            "fr3",
            r'(name="fr3_joint4".*?<origin xyz=)"[^"]*"',
            r'\1"82.5 0 0"',
            ["joint fr3_joint4 82.4 m off", "metres"],
        ),
        (
            "fr3",
            r'(name="fr3_joint4".*?rpy=)"[^"]*"',
            r'\1"90 0 0"',
            ["joint fr3_joint4: origin rpy", "got 90", "degrees"],
        ),
        ("fr3", r'(name="fr3_joint4".*?rpy=)"[^"]*"', r'\1"0 0 0"', ["joint fr3_joint4", "got 90:", "rpy in radians"]),
        ("fr3", r'(name="fr3_hand_joint".*?rpy=)"[^"]*"', r'\1"0 0 -45"', ["fr3_hand_joint: origin rpy", "got -45"]),
        (
            "fr3",
            r'(name="fr3_hand_joint".*?rpy=)"[^"]*"',
            r'\1"0 0 0"',
            ["fr3_hand_tcp", "30 degrees", "turned by 45:"],
        ),
        ("fr3_gripper", 'multiplier="1"', 'multiplier="-1"', ["fr3_finger_joint2", "sign of 1", "got -1", "wrong way"]),
        (
            "fr3",
            r'(<collision>.*?<cylinder radius=)"[^"]*"',
            r'\1"-0.1"',
            ["fr3_link0: collision: cyl", "above 0", "-0.1"],
        ),
        ("fr3", r'(<collision>.*?<cylinder radius=)"[^"]*"', r'\1"nan"', ["fr3_link0", "radius", "finite", "'nan'"]),
        (
            "fr3",
            r'(<visual>.*?<cylinder [^>]*length=)"[^"]*"',
            r'\1"0"',
            ["fr3_link0", "visual: cylinder length", "got 0"],
        ),
        ("so101", r'(<collision>.*?<box size=)"[^"]*"', r'\1"0.1 0.1"', ["base_link", "box size", "3 finite numbers"]),
        ("so101", r'(<collision>.*?<box) size="[^"]*"', r"\1", ["base_link", "box size", "3 finite numbers", "''"]),
        (
            "so101",
            r'(<collision>\s*<origin xyz=)"[^"]*"',
            r'\1"0 0 inf"',
            ["base_link", "collision: origin xyz", "inf"],
        ),
        ("fr3", '<mass value="[^"]*"', '<mass value="nan"', ["fr3_link0", "inertial: mass value", "finite", "'nan'"]),
        ("fr3", '<mass value="[^"]*"', '<mass value="-2"', ["fr3_link0", "inertial: mass", "not negative", "-2"]),
        ("fr3", '<mass value="[^"]*"', '<mass value="1_0"', ["fr3_link0", "inertial: mass value", "finite", "'1_0'"]),
        ("fr3", "<mass [^>]*>", "", ["fr3_link0", "inertial: mass value", "finite number", "''"]),
        ("fr3", 'ixx="[^"]*"', 'ixx="inf"', ["fr3_link0", "inertia ixx", "finite", "'inf'"]),
        ("fr3", 'ixx="[^"]*"', 'ixx="-0.01"', ["fr3_link0", "inertia", "principal moments above 0"]),
        ("fr3", 'ixy="[^"]*"', 'ixy="5"', ["fr3_link0", "inertia", "principal moments above 0"]),
        ("fr3", 'iyz="[^"]*"', "", ["fr3_link0", "inertia iyz", "finite number", "''"]),
        ("fr3", r'(name="fr3_joint4".*?<origin xyz=)"[^"]*"', r'\1"1e200 0 1e200"', ["joint fr3_joint4 inf m off"]),
        ("fr3", r'(name="fr3_joint4".*?<axis xyz=)"[^"]*"', r'\1"0 0 1e200"', ["fr3_joint4", "length 1", "1e+200"]),
        ("fr3", r'(name="fr3_joint4".*?<axis xyz=)"[^"]*"', r'\1"0 0 1e-200"', ["fr3_joint4", "length 1", "1e-200"]),
    ],
)
def test_numbers_that_no_calibration_has_are_refused(path, capfd, name, before, after, words):
    path.write_text(changed(name, before, after))
    with refused(UrdfError, "mine.urdf", *words):
        robot_model(name, path)
    assert capfd.readouterr() == ("", "")


def test_a_base_that_stands_elsewhere_is_refused(path):
    mount = (
        '<link name="world"/><joint name="mount" type="fixed"><parent link="world"/><child link="fr3_link0"/>{}</joint>'
    )
    path.write_text(robot_urdf("fr3").replace("</robot>", mount.format("") + "</robot>"))
    robot_model("fr3", path)
    path.write_text(robot_urdf("fr3").replace("</robot>", mount.format('<origin xyz="0 0 0.8"/>') + "</robot>"))
    with refused(UrdfError, "mine.urdf", "fr3_hand_tcp", "0.8 m away", "is the base the same?"):
        robot_model("fr3", path)


def test_what_pinocchio_cannot_read_is_refused(path):
    path.write_text(changed("so101", '<robot name="so101"', '<robot name="so101" version="7.0"'))
    with refused(UrdfError, "mine.urdf", "Pinocchio"):
        robot_model("so101", path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_file_does_worse_than_a_line(data, tmp_path_factory):
    robot = ElementTree.fromstring(robot_urdf("fr3_gripper"))
    for _ in range(data.draw(st.integers(1, 3))):
        element = data.draw(st.sampled_from([element for element in robot.iter() if element.attrib or len(element)]))
        if element.attrib and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(sorted(element.attrib)))
            wrong = st.sampled_from(["", "nan", "1e999", "0 0", "0", "-1", "1_0", "fr3_joint2", "fr3_link3", "é\t"])
            element.set(key, data.draw(wrong))
        elif len(element):
            element.remove(data.draw(st.sampled_from(list(element))))
    path = tmp_path_factory.mktemp("damaged") / "mine.urdf"
    path.write_bytes(ElementTree.tostring(robot))
    with refused_at_most(UrdfError):
        robot_geometry("fr3_gripper", path)


def test_shapes_come_from_the_file(path):
    path.write_text(changed("so101", r'(<collision>.*?)<box size="0\.11 ', r'\1<box size="0.13 '))
    mine, shipped = robot_geometry("so101", path), robot_geometry("so101")
    sides = [geometry.geometryObjects[0].geometry.halfSide[0] for geometry in (mine, shipped)]
    assert sides == pytest.approx([0.065, 0.055])


def test_meshes_to_collide_with_are_refused(path):
    path.write_text(changed("so101", r"(<collision>.*?)<box [^>]*>", r'\1<mesh filename="base.stl"/>'))
    robot_model("so101", path)
    with refused(UrdfError, "mine.urdf", "base_link", "mesh"):
        robot_geometry("so101", path)


def test_a_file_without_a_tool_or_a_mass_is_taken_and_the_frame_is_missed_where_it_is_asked_for(path):
    text = robot_urdf("fr3").replace('="fr3_hand_tcp"', '="tcp"')
    path.write_text(text.replace('value="0.73"', 'value="0"'))
    model = robot_model("fr3", path)
    with refused(UnknownModel, "fr3_hand_tcp"):
        InverseKinematics(model, ["fr3_hand_tcp"])
    assert InverseKinematics(model, ["fr3_link8"]).goals[0].frame == "fr3_link8"
