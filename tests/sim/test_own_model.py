"""Twins of models that do not ship: a URDF as it comes from somewhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.embodiments.spec import EmbodimentSpec

URDF = """
<robot name="two">
  <link name="base"/>
  <link name="upper">
    <inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><geometry><mesh filename="package://nowhere/upper.dae"/></geometry></visual>
    <collision><geometry><mesh filename="package://nowhere/upper.stl"/></geometry></collision>
    <visual><origin xyz="0 0 0.1"/><geometry><box size="0.05 0.05 0.2"/></geometry></visual>
  </link>
  <link name="lower">
    <inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <link name="tool"/>
  <joint name="lift" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-1" upper="1" velocity="2" effort="50"/>
  </joint>
  <joint name="spare" type="revolute">
    <parent link="upper"/><child link="lower"/><origin xyz="0 0 0.2"/><axis xyz="0 1 0"/>
    <limit lower="0.3" upper="1" velocity="2" effort="50"/>
  </joint>
  <joint name="tip" type="fixed"><parent link="lower"/><child link="tool"/><origin xyz="0 0 0.2"/></joint>
</robot>
"""


@pytest.fixture
def spec(tmp_path: Path) -> EmbodimentSpec:
    (tmp_path / "two.urdf").write_text(URDF)
    so101 = load_spec("so101")
    arm = so101.groups["arm_joints"]
    lift = msgspec.structs.replace(arm.joints[0], name="lift", lower=-1.0, upper=1.0, effort=50.0)
    return msgspec.structs.replace(
        so101,
        model=str(tmp_path / "two.urdf"),
        groups={"arm_joints": msgspec.structs.replace(arm, slots=(50, 51), joints=(lift,))},
        end_effectors={},
        twin=msgspec.structs.replace(so101.twin, task=None, table_height=-1.0),
    )


def test_fixed_frames_stay_meshes_are_left_out_and_what_is_not_commanded_is_frozen(spec):
    twin = Twin(spec)
    assert twin.model.nv == 1
    assert twin.model.nmesh == 0
    # Zero is not within the limits of the joint that is not commanded: it is frozen at the nearest that is.
    assert twin.frame_position("tool") == pytest.approx([0.2 * np.sin(0.3), 0.0, 0.2 + 0.2 * np.cos(0.3)])
    twin.set_command(np.array([0.5]))
    twin.advance(1000)
    assert twin.q == pytest.approx([0.5], abs=0.06)


@pytest.mark.parametrize("name", ["upper", "base", "world"])
def test_a_loose_object_with_a_name_that_is_taken_is_refused_in_one_line(spec, name):
    (cube,) = load_spec("so101").twin.objects
    objects = (msgspec.structs.replace(cube, name=name),)
    with refused(SpecError, "embodiment.model", f"repeated name '{name}'"):
        Twin(
            msgspec.structs.replace(spec, twin=msgspec.structs.replace(spec.twin, objects=objects)),
            objects=True,
        )


def test_a_follower_that_would_be_frozen_outside_its_limits_is_refused_in_one_line(spec, tmp_path):
    follower = """
  <joint name="tip" type="revolute"><parent link="lower"/><child link="tool"/><axis xyz="0 1 0"/>
    <mimic joint="spare" multiplier="-1"/><limit lower="0" upper="1" velocity="2" effort="50"/></joint>
"""
    kept = "\n".join(line for line in URDF.splitlines() if 'name="tip"' not in line)
    (tmp_path / "two.urdf").write_text(kept.replace("</robot>", f"{follower}</robot>"))
    with refused(SpecError, "embodiment.model", "tip would be frozen at -0.3"):
        Twin(spec)


def test_a_model_that_the_simulator_cannot_read_is_refused_in_one_line(spec, tmp_path):
    weightless = URDF.replace('<mass value="1"/>', '<mass value="1e-20"/>').replace('"0.01"', '"1e-20"')
    (tmp_path / "two.urdf").write_text(weightless)
    with pytest.raises(SpecError) as error:
        Twin(spec)
    assert "\n" not in str(error.value)
