"""The simulated world: the robot from its URDF, servos, a table, a light, cameras and two blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.kinematics.model import urdf_path

if TYPE_CHECKING:
    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.spec import EmbodimentSpec

TIMESTEP: Final = 0.002
"""Physics step, [s]."""

BLOCK_HALF_SIZE: Final = 0.02
"""Half the edge of a block, [m]; it rests on the table, whose surface is z = 0 of the robot's base."""

BLOCK_COLOURS: Final[dict[Block, tuple[float, float, float, float]]] = {
    "red": (0.85, 0.08, 0.08, 1.0),
    "blue": (0.10, 0.20, 0.85, 1.0),
}
"""Red, green, blue, opacity. A block's mocap body has the block's name."""

SERVO_STIFFNESS: Final = 120.0
"""Proportional gain of a joint servo, [Nm/rad]: under its own weight the arm sags by a fifth of a degree at a joint."""

SERVO_DAMPING: Final = 3.2
"""Velocity gain, [Nm s/rad]: somewhat under critical damping, about 30 ms of lag."""

ARMATURE: Final = 0.028
"""Inertia of the geared motor seen at the joint, [kg m^2]; the value of MuJoCo Menagerie's SO-100 and SO-101 models."""

FRICTION: Final = 0.05
"""Dry friction of the gear train, [Nm]; same source."""

LIMIT_STIFFNESS: Final = (0.004, 1.0)
"""Time constant [s] and damping ratio of the end stops: as hard as the physics step allows."""

_ROBOT_BIT, _WORLD_BIT = 1, 2
_COLLISION_GROUP = 3

CAMERA_POSES: Final[dict[str, dict[str, Any]]] = {
    # In front of the robot, looking back and down at it: the arm stands behind the blocks, seldom before them. From a
    # metre away through a long lens, whatever the blocks and the gripper over them reach fills the centre square.
    "third_person": {"pos": (0.95, 0.0, 0.76), "look_at": (0.24, 0.0, 0.05), "fovy": 22.0},
}
"""Where each camera name stands: position and the point it looks at in the base link [m], vertical view angle [deg]."""


def build_model(spec: EmbodimentSpec) -> Any:
    """The robot's world as a compiled `mujoco.MjModel`.

    The URDF asks MuJoCo to keep fixed frames, of which the tool frame is one, and visuals (its `<mujoco>` element).
    Joints and actuators have the order and the names of the spec. Position limits and forces are the spec's.

    Raises:
        SpecError: Where the spec names a joint that its model lacks or a camera the simulator has no place for.
    """
    scene = mujoco.MjSpec.from_file(str(urdf_path(spec.model)))
    scene.option.timestep = TIMESTEP
    scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    scene.visual.quality.offsamples = 0
    scene.visual.global_.offwidth = max([640, *(camera.width for camera in spec.cameras.values())])
    scene.visual.global_.offheight = max([480, *(camera.height for camera in spec.cameras.values())])
    _sort_out_collisions(scene)
    _add_servos(scene, spec)
    _add_table(scene)
    for block in BLOCKS:
        _add_block(scene, block)
    for name in spec.cameras:
        _add_camera(scene, spec, name)
    return scene.compile()


def _sort_out_collisions(scene: Any) -> None:
    """The robot collides with the world, not with itself: neighbouring primitive shapes overlap at the joints."""
    for geom in scene.geoms:
        if geom.contype:
            geom.contype, geom.conaffinity, geom.group = _ROBOT_BIT, _WORLD_BIT, _COLLISION_GROUP


def _add_servos(scene: Any, spec: EmbodimentSpec) -> None:
    for joint in spec.joints:
        element = scene.joint(joint.name)
        if element is None:
            raise SpecError(f"embodiment.joints: {spec.model} has no joint {joint.name!r}")
        element.range = [joint.lower, joint.upper]
        element.armature = ARMATURE
        element.frictionloss = FRICTION
        element.solref_limit = LIMIT_STIFFNESS
        servo = scene.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        # Force = stiffness (command - q) - damping dq.
        servo.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        servo.gainprm[0] = SERVO_STIFFNESS
        servo.biasprm[1:3] = -SERVO_STIFFNESS, -SERVO_DAMPING
        servo.ctrlrange = [joint.lower, joint.upper]
        servo.ctrllimited = True
        servo.forcerange = [-joint.effort, joint.effort]
        servo.forcelimited = True


def _add_table(scene: Any) -> None:
    scene.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[1.5, 1.5, 0.1],
        rgba=[0.62, 0.64, 0.66, 1.0],
        contype=_WORLD_BIT,
        conaffinity=_ROBOT_BIT,
    )
    scene.worldbody.add_light(pos=[0.3, 0.4, 1.5], dir=[-0.1, -0.25, -1.0], castshadow=False, diffuse=[0.5] * 3)
    scene.visual.headlight.ambient = [0.35] * 3
    scene.visual.headlight.diffuse = [0.35] * 3
    scene.visual.headlight.specular = [0.0] * 3


def _add_block(scene: Any, name: Block) -> None:
    body = scene.worldbody.add_body(name=name, mocap=True, pos=[0.24, 0.0, BLOCK_HALF_SIZE])
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[BLOCK_HALF_SIZE] * 3,
        rgba=BLOCK_COLOURS[name],
        contype=0,
        conaffinity=0,
    )


def _add_camera(scene: Any, spec: EmbodimentSpec, name: str) -> None:
    if name not in CAMERA_POSES:
        known = ", ".join(sorted(CAMERA_POSES))
        raise SpecError(f"embodiment.cameras.{name}: the simulator has no place for it, expected one of {known}")
    place = CAMERA_POSES[name]
    forward = [b - a for a, b in zip(place["pos"], place["look_at"], strict=True)]
    right = [forward[1], -forward[0], 0.0]
    up = [-forward[0] * forward[2], -forward[1] * forward[2], forward[0] ** 2 + forward[1] ** 2]
    axes = np.array([right, up, [-x for x in forward]], dtype=np.float64).T
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, (axes / np.linalg.norm(axes, axis=0)).reshape(9))
    camera = scene.worldbody.add_camera(name=name, pos=list(place["pos"]), quat=quaternion, fovy=place["fovy"])
    camera.resolution = [spec.cameras[name].width, spec.cameras[name].height]
