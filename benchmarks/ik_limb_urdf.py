"""A robot's description reduced to the joints that a case moves, for solvers that always take all joints there are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.frozen_joint import freeze_joints
from unichunk.kinematics.urdf_document import parse_urdf

if TYPE_CHECKING:
    from unichunk.benchmarks.ik_problem import Problem


def limb_urdf(problem: Problem) -> str:
    """The case's robot as URDF, all other joints fixed where they are, without the shapes."""
    name = problem.case.robot
    robot = parse_urdf(robot_urdf(name), name)
    freeze_joints(robot, problem.locked, name)
    for link in robot.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            link.remove(shape)
    return ElementTree.tostring(robot, encoding="unicode")
