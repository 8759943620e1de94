"""URDF parts put together: names, places, what is taken out, what is frozen, and what is refused."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kinematics.small_robot import ARM, CLAW
from tests.kinematics.source_kinematics import origin_pose
from tests.one_line import refused
from unichunk.kinematics.assembly import assemble, robot_urdf
from unichunk.kinematics.description import Part, RobotDescription
from unichunk.kinematics.errors import DescriptionError, UnknownModel, UrdfError
from unichunk.kinematics.urdf_files import urdf_path

ARM_PART = Part(urdf="arm.urdf")
MOUNTED = {"xyz": (0.1, 0.2, 0.3), "rpy": (0.4, -0.5, 0.6)}
CLAW_PART_ALONE = Part(urdf="claw.urdf")
CLAW_PART = Part(urdf="claw.urdf", parent="lower", prefix="r_", **MOUNTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("urdf")
    (folder / "arm.urdf").write_text(ARM)
    (folder / "claw.urdf").write_text(CLAW)
    return folder


@pytest.fixture(autouse=True, scope="module")
def _parts(folder):
    def path(name):
        return folder / name if (folder / name).exists() else urdf_path(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unichunk.kinematics.assembly.urdf_path", path)
        yield


def put_together(*parts, **keys):
    return assemble(RobotDescription(parts=parts, **keys), "robots/small.json")


def model_of(robot):
    return pin.buildModelFromXML(ElementTree.tostring(robot, encoding="unicode"), mimic=True)


def placement(model, link, **positions):
    """Pose of a link in the base, with the named joints somewhere and the others at zero."""
    q = np.zeros(model.nq)
    for name, value in positions.items():
        q[model.joints[model.getJointId(name)].idx_q] = value
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    return data.oMf[model.getFrameId(link, pin.FrameType.BODY)].homogeneous


def names(robot, tag):
    return [element.get("name") for element in robot.findall(tag)]


def test_a_part_is_attached_where_the_description_says():
    robot = put_together(ARM_PART, CLAW_PART)
    model = model_of(robot)
    expected = placement(model, "lower", elbow=0.7) @ origin_pose(**MOUNTED).matrix
    np.testing.assert_allclose(placement(model, "r_palm", elbow=0.7), expected, atol=1e-12)


def test_every_name_of_a_part_has_the_prefix():
    robot = put_together(ARM_PART, CLAW_PART)
    assert names(robot, "link")[5:] == ["r_palm", "r_finger", "r_thumb", "r_nail"]
    assert names(robot, "joint")[4:] == ["lower_to_r_palm", "r_slide", "r_swing", "r_nail_joint"]
    assert names(robot, "material") == ["grey", "r_grey"]
    assert robot.find("joint[@name='r_swing']/mimic").get("joint") == "r_slide"
    assert robot.find("link[@name='r_palm']/visual/material").get("name") == "r_grey"
    assert robot.find("link[@name='base']/visual/material").get("name") == "grey"


def test_two_of_a_kind_need_prefixes_only_where_names_clash():
    left, right = (Part(urdf="claw.urdf", parent="base", prefix=prefix, joint=f"{prefix}mount") for prefix in "lr")
    robot = put_together(ARM_PART, left, right)
    assert {"lmount", "rmount", "lslide", "rslide"} <= set(names(robot, "joint"))
    assert model_of(robot).nq == 4


def test_parts_share_a_material_that_is_the_same():
    assert names(put_together(ARM_PART, Part(urdf="claw.urdf", parent="lower")), "material") == ["grey"]


def test_parts_can_be_attached_to_parts():
    robot = put_together(ARM_PART, CLAW_PART, Part(urdf="claw.urdf", parent="r_nail", prefix="s_"))
    assert "r_nail_to_s_palm" in names(robot, "joint")
    assert model_of(robot).nq == 4


def test_what_belongs_to_the_document_comes_from_the_first_part():
    assert len(put_together(ARM_PART, CLAW_PART).findall("mujoco")) == 1


def test_leaves_are_taken_out_with_their_joints_one_after_the_other():
    robot = put_together(ARM_PART, remove=("knob", "cover"))
    assert names(robot, "link") == ["base", "upper", "lower"]
    assert names(robot, "joint") == ["shoulder", "elbow"]


ANGLES = st.floats(-1, 2) | st.sampled_from([0.0, np.pi / 2, -np.pi / 4])


@settings(max_examples=60, deadline=None)
@given(shoulder=ANGLES, elbow=st.floats(0, 2.5) | st.just(np.pi / 2), slide=st.floats(-0.1, 0.4))
def test_a_frozen_joint_stays_where_it_would_be_at_its_value(shoulder, elbow, slide):
    moving = model_of(put_together(ARM_PART, CLAW_PART))
    frozen = model_of(put_together(ARM_PART, CLAW_PART, fixed={"shoulder": shoulder, "elbow": elbow, "r_slide": slide}))
    assert frozen.nq == 0
    for link in ("upper", "lower", "r_finger", "r_thumb", "r_nail"):
        expected = placement(moving, link, shoulder=shoulder, elbow=elbow, r_slide=slide)
        np.testing.assert_allclose(placement(frozen, link), expected, atol=1e-12)


def test_a_frozen_joint_is_a_plain_fixed_one():
    robot = put_together(ARM_PART, CLAW_PART, fixed={"r_slide": 0.2})
    for name in ("r_slide", "r_swing"):
        joint = robot.find(f"joint[@name='{name}']")
        assert joint.get("type") == "fixed"
        assert [element.tag for element in joint] == ["parent", "child", "origin"]
    assert model_of(robot).nq == 2


def test_a_mimic_may_be_named_with_the_value_it_takes():
    named = put_together(CLAW_PART_ALONE, fixed={"slide": 0.2, "swing": -0.1})
    assert ElementTree.tostring(named) == ElementTree.tostring(put_together(CLAW_PART_ALONE, fixed={"slide": 0.2}))


@pytest.mark.parametrize(
    ("error", "parts", "keys", "words"),
    [
        (UnknownModel, (Part(urdf="leg.urdf"),), {}, ["leg.urdf"]),
        (UrdfError, (ARM_PART, Part(urdf="arm.urdf", parent="base")), {}, ["link", "more than once", "base", "cover"]),
        (UrdfError, (ARM_PART, Part(urdf="claw.urdf", parent="base", joint="elbow")), {}, ["more than once", "elbow"]),
        (DescriptionError, (ARM_PART, Part(urdf="claw.urdf", parent="lowr")), {}, ["parts[1].parent", "lowr", "lower"]),
        (DescriptionError, (ARM_PART,), {"remove": ("knop",)}, ["remove[0]", "knop", "knob"]),
        (DescriptionError, (ARM_PART,), {"remove": ("knob", "upper")}, ["remove[1]", "leaf", "lower", "cover"]),
        (DescriptionError, (ARM_PART, CLAW_PART), {"remove": ("r_nail",)}, ["remove[0]", "r_nail"]),
        (DescriptionError, (CLAW_PART_ALONE,), {"remove": ("nail", "finger")}, ["finger", "slide", "swing"]),
        (DescriptionError, (ARM_PART,), {"fixed": {"elbo": 0.1}}, ["fixed.elbo", "elbow"]),
        (DescriptionError, (ARM_PART,), {"fixed": {"cover_joint": 0.0}}, ["cover_joint", "fixed already"]),
        (DescriptionError, (ARM_PART,), {"fixed": {"elbow": 2.6}}, ["elbow", "2.6", "0 to 2.5"]),
        (DescriptionError, (ARM_PART,), {"fixed": {"elbow": float("nan")}}, ["elbow", "nan"]),
        (DescriptionError, (CLAW_PART_ALONE,), {"fixed": {"swing": 0.1}}, ["swing", "slide", "0.1"]),
        (DescriptionError, (CLAW_PART_ALONE,), {"fixed": {"slide": 0.2, "swing": 0.1}}, ["swing", "-0.1", "0.1"]),
    ],
)
def test_what_does_not_fit_together_is_refused(error, parts, keys, words):
    with refused(error, *words):
        put_together(*parts, **keys)


def test_a_joint_may_be_frozen_at_the_end_of_its_range():
    assert model_of(put_together(CLAW_PART_ALONE, fixed={"slide": 0.4})).nq == 0


def test_a_frozen_joint_takes_its_mimics_no_further_than_they_can_go(folder):
    (folder / "stiff.urdf").write_text(CLAW.replace('lower="-0.5" upper="2"', 'lower="0" upper="0.2"'))
    with refused(DescriptionError, "swing", "-0.1", "0 to 0.2"):
        put_together(Part(urdf="stiff.urdf"), fixed={"slide": 0.2})


def test_parts_that_disagree_about_a_material_are_refused(folder):
    (folder / "red.urdf").write_text(CLAW.replace("0.5 0.5 0.5", "1 0 0"))
    with refused(UrdfError, "parts[1]", "red.urdf", "grey"):
        put_together(ARM_PART, Part(urdf="red.urdf", parent="base"))


ELBOW = '<parent link="upper"/><child link="lower"/>'


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("</robot>", "", ["no XML"]),
        ("robot", "model", ["<model>"]),
        ('<link name="knob"/>', "<link/>", ["link", "no name"]),
        ('<link name="knob"/>', '<link name="cover"/>', ["more than once", "cover"]),
        ('name="knob_joint"', 'name="elbow"', ["joint names", "elbow"]),
        ('name="knob_joint" type="fixed"', 'name="knob_joint" type="floating"', ["knob_joint", "floating"]),
        ('<child link="lower"/>', '<child link="lover"/>', ["elbow", "child", "lover", "lower"]),
        ('<child link="lower"/>', "", ["elbow", "child"]),
        ('<child link="knob"/>', '<child link="lower"/>', ["lower", "two parents", "elbow", "knob_joint"]),
        (ELBOW, '<parent link="lower"/><child link="lower"/>', ["loop", "lower"]),
        ('<link name="knob"/>', '<link name="knob"/><link name="loose"/>', ["one root", "base", "loose"]),
        ('upper="2.5"', 'upper="nan"', ["elbow", "limit upper", "nan"]),
        ('upper="2.5"', 'upper="inf"', ["elbow", "limit upper", "inf"]),
        ('upper="2.5"', 'upper=""', ["elbow", "limit upper", "''"]),
        ('upper="2.5"', 'upper="-2.5"', ["elbow", "lower < upper", "-2.5"]),
        ('lower="0" upper="2.5"', "", ["elbow", "lower < upper"]),
        ('upper="2.5" velocity="3"', 'upper="2.5" velocity="0"', ["elbow", "velocity"]),
        ('xyz="0.4 0 0"', 'xyz="0.4 0"', ["elbow", "origin xyz", "3 finite numbers", "0.4 0"]),
        ('<axis xyz="0 1 0"/>', '<axis xyz="0 0 0"/>', ["elbow", "axis"]),
        ('<axis xyz="0 1 0"/>', '<axis xyz="0 1 0"/><mimic joint="shulder"/>', ["elbow", "shulder", "shoulder"]),
        ('<axis xyz="0 1 0"/>', '<axis xyz="0 1 0"/><mimic joint="elbow"/>', ["elbow", "by itself"]),
        ('<axis xyz="0 1 0"/>', '<mimic joint="shoulder" multiplier="0"/>', ["elbow", "multiplier"]),
        ('<axis xyz="0 1 0"/>', '<mimic joint="shoulder" offset="x"/>', ["elbow", "mimic offset", "'x'"]),
    ],
)
def test_a_document_that_is_no_robot_is_refused(folder, before, after, words):
    text = ARM.replace(before, after)
    assert text != ARM
    (folder / "broken.urdf").write_text(text)
    with refused(UrdfError, "broken.urdf", *words):
        put_together(Part(urdf="broken.urdf"))


def test_a_robot_has_its_own_name_and_survives_being_read_again(tmp_path):
    text = robot_urdf("so101")
    assert ElementTree.fromstring(text).get("name") == "so101"
    (tmp_path / "again.urdf").write_text(text)
    assert robot_urdf("so101", tmp_path / "again.urdf") == text


def test_a_users_file_replaces_the_whole_robot(folder):
    robot = ElementTree.fromstring(robot_urdf("so101", folder / "arm.urdf"))
    assert robot.get("name") == "so101"
    assert names(robot, "joint") == ["shoulder", "elbow", "cover_joint", "knob_joint"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["path of a URDF file", "No such file"]),
        ("<robot", ["no XML"]),
        ("hello", ["no XML"]),
        ("", ["no XML"]),
        ("<sdf/>", ["<sdf>", "<robot>"]),
        ("<robot/>", ["one root link", "none"]),
        ('<?xml version="1.0" encoding="klingon"?><robot/>', ["no XML", "klingon"]),
    ],
)
def test_a_users_file_that_is_none_is_refused_with_its_path(tmp_path, content, words):
    path = tmp_path / "mine.urdf"
    if content is not None:
        path.write_text(content)
    with refused(UrdfError, "mine.urdf", *words):
        robot_urdf("so101", path)


def test_a_folder_is_no_urdf(tmp_path):
    with refused(UrdfError, str(tmp_path), "directory"):
        robot_urdf("so101", tmp_path)
