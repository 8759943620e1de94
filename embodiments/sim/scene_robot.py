"""The robot in the simulated world: links from its URDF, servos and limits from its spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import model_urdf
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.frozen_joint import freeze_joints
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.urdf_attributes import numbers
from unichunk.kinematics.urdf_document import driver_of, joint_name, parse_urdf

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from unichunk.embodiments.spec import EmbodimentSpec, Joint
    from unichunk.embodiments.twin_spec import Servo

ROBOT_BIT: Final = 1
WORLD_BIT: Final = 2
OBJECT_BIT: Final = 4
"""Bits of MuJoCo's contype and conaffinity."""

HIDDEN_GROUP: Final = 3
"""Geom group of collision shapes, which no camera shows."""

STIFF: Final = 2.0
"""Time constant of end stops and mimicking joints, in physics steps: as hard as the step allows."""

FOLLOWER_IMPEDANCE: Final = (0.98, 0.999, 0.001, 0.5, 2.0)
"""How firmly a mimicking joint is held (MuJoCo's solimp); the default slips by degrees under load."""

FOLLOWER_ARMATURE: Final = 1e-4
"""Inertia of a joint that mimics another, besides that of its links, [kg m^2]: keeps fingertips of a few grams calm."""


def robot_scene(spec: EmbodimentSpec, timestep: float, *, gravity_compensated: bool) -> Any:
    """A `mujoco.MjSpec` with the robot alone.

    Joints that the spec does not command are frozen at zero, or at the nearest position their limits allow. Joints that
    mimic another follow it by equality constraints. Shapes from mesh files are left out.

    Args:
        spec: The robot.
        timestep: Physics step, [s].
        gravity_compensated: Whether gravity does not act on it.

    Raises:
        SpecError: Where the spec names a joint that its model lacks, or MuJoCo cannot read the model.
    """
    robot = parse_urdf(model_urdf(spec), spec.model)
    _check_joints(robot, spec)
    _freeze_the_rest(robot, spec)
    _drop_meshes(robot)
    try:
        scene = mujoco.MjSpec.from_string(ElementTree.tostring(robot, encoding="unicode"))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise SpecError(f"embodiment.model: {spec.model}: MuJoCo cannot read it ({reason})") from None
    scene.option.timestep = timestep
    scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    solref = (STIFF * timestep, 1.0)
    for geom in scene.geoms:
        # Not with itself: neighbouring primitive shapes overlap at the joints.
        if geom.contype:
            geom.contype, geom.conaffinity, geom.group = ROBOT_BIT, WORLD_BIT, HIDDEN_GROUP
    for equality in scene.equalities:
        follower = scene.joint(equality.name1)
        follower.limited = mujoco.mjtLimited.mjLIMITED_FALSE
        follower.armature = FOLLOWER_ARMATURE
        equality.solref = solref
        equality.solimp = FOLLOWER_IMPEDANCE
    for group in spec.groups.values():
        for i, joint in enumerate(group.joints):
            _add_servo(scene, joint, group.servo, i, solref)
    if gravity_compensated:
        for body in scene.bodies[1:]:
            body.gravcomp = 1.0
    return scene


def _check_joints(robot: Element, spec: EmbodimentSpec) -> None:
    joints = robot.findall("joint")
    movable = {joint_name(joint) for joint in joints if joint.get("type") != "fixed" and driver_of(joint) is None}
    for name in spec.joint_names:
        if name not in movable:
            raise SpecError(
                f"embodiment.groups: {spec.model} has no joint {name!r} that moves by itself: "
                f"{instead_of(name, movable)}"
            )


def _freeze_the_rest(robot: Element, spec: EmbodimentSpec) -> None:
    commanded = set(spec.joint_names)
    fixed = {}
    for joint in robot.findall("joint"):
        name = joint_name(joint)
        if joint.get("type") == "fixed" or driver_of(joint) is not None or name in commanded:
            continue
        fixed[name] = 0.0
        if joint.get("type") != "continuous":
            (lower,), (upper,) = numbers(joint, "limit", "lower", "0"), numbers(joint, "limit", "upper", "0")
            fixed[name] = min(max(0.0, lower), upper)
    try:
        freeze_joints(robot, fixed, spec.model)
    except KinematicsError as error:
        raise SpecError(f"embodiment.model: {error}") from None


def _drop_meshes(robot: Element) -> None:
    for link in robot.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            if shape.find("geometry/mesh") is not None:
                link.remove(shape)


def _add_servo(scene: Any, joint: Joint, servo: Servo, index: int, solref: tuple[float, float]) -> None:
    element = scene.joint(joint.name)
    element.range = [joint.lower, joint.upper]
    element.armature = servo.armature
    element.frictionloss = servo.friction
    element.solref_limit = solref
    stiffness = servo.stiffness[index] if isinstance(servo.stiffness, tuple) else servo.stiffness
    damping = servo.damping[index] if isinstance(servo.damping, tuple) else servo.damping
    actuator = scene.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    # Force = stiffness (command - q) - damping dq.
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = stiffness
    actuator.biasprm[1:3] = -stiffness, -damping
    actuator.ctrlrange = [joint.lower, joint.upper]
    actuator.ctrllimited = True
    actuator.forcerange = [-joint.effort, joint.effort]
    actuator.forcelimited = True
