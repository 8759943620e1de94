"""Robots to test adapters with: what they see, where their end effectors are, and chunks that they can follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.model import spec_model
from unichunk.embodiments.spec import Camera, EmbodimentSpec, EndEffector, Joint, JointGroup
from unichunk.embodiments.twin_spec import Servo
from unichunk.kinematics.robot_model import frame_index
from unichunk.kinematics.rotation import rotation_angle
from unichunk.runtime.observation import CameraFrame, Observation, RobotState

if TYPE_CHECKING:
    from collections.abc import Mapping

Joints = NDArray[np.float64]
ROWS = 16


def observation_at(spec: EmbodimentSpec, q: Joints) -> Observation:
    state = RobotState(stamp_ns=0, sequence=0, q=q, dq=np.zeros_like(q), watchdog=False)
    frames = {
        name: CameraFrame(0, 0, np.full((camera.height, camera.width, 3), i, np.uint8))
        for i, (name, camera) in enumerate(spec.cameras.items())
    }
    return Observation(stamp_ns=0, state=state, frames=frames)


def single_precision(actions: Mapping[str, Joints]) -> dict[str, NDArray[np.float32]]:
    """As a policy answers."""
    return {key: values.astype(np.float32) for key, values in actions.items()}


class Model:
    """Forward kinematics by the names of the joints, apart from the adapter's."""

    def __init__(self, spec: EmbodimentSpec) -> None:
        self.spec, self.model = spec, spec_model(spec)
        self.data = self.model.createData()

    def poses(self, joints: Joints, side: str) -> Joints:
        """Poses (m, 4, 4) of an end effector in the base, for joint rows (m, n)."""
        frame, poses = frame_index(self.model, self.spec.end_effectors[side].frame), []
        for row in joints:
            q = np.zeros(self.model.nq)
            for name, value in zip(self.spec.joint_names, row, strict=True):
                q[self.model.joints[self.model.getJointId(name)].idx_q] = value
            pin.framesForwardKinematics(self.model, self.data, q)
            poses.append(self.data.oMf[frame].homogeneous)
        return np.array(poses)


def apart(one: Joints, other: Joints) -> tuple[float, float]:
    """Largest distance [m] and angle [rad] between poses (m, 4, 4)."""
    turn = one[:, :3, :3] @ np.swapaxes(other[:, :3, :3], 1, 2)
    return float(np.linalg.norm(one[:, :3, 3] - other[:, :3, 3], axis=1).max()), float(rotation_angle(turn).max())


def bent(spec: EmbodimentSpec) -> Joints:
    """A pose from which arms can move every way: at rest, but a little away from the ends of the joints' ranges."""
    lower, upper = spec.limits.lower, spec.limits.upper
    return np.clip(spec.rest, lower + 0.15 * (upper - lower), upper - 0.15 * (upper - lower))


def wandering(spec: EmbodimentSpec, seed: int, rows: int = ROWS, share: float = 0.2) -> Joints:
    """Smooth joint rows from `bent` on, at a share of the velocity limits, within the position limits."""
    random = np.random.default_rng(seed)
    rate = share * random.uniform(-1, 1, len(spec.joints)) * np.minimum(spec.limits.velocity, 2.0) / spec.action_hz
    swing = np.sin(np.arange(1, rows + 1) / rows * np.pi)[:, None]
    return np.clip(bent(spec) + rate * rows / np.pi * swing, spec.limits.lower, spec.limits.upper)


def moved_by_inverse_kinematics(spec: EmbodimentSpec) -> list[int]:
    groups = {name for end in spec.end_effectors.values() for name in end.groups}
    return [i for name in spec.groups if name in groups for i in spec.joint_index(name)]


def franka_with_gripper() -> EmbodimentSpec:
    """What LIBERO's simulated robot is, as far as its keys tell: a Franka arm and hand, two cameras."""
    spec = load_spec("fr3_inspire")
    finger = Joint(
        name="fr3_finger_joint1",
        lower=0.0,
        upper=0.04,
        velocity=0.2,
        acceleration=5.0,
        jerk=500.0,
        effort=100.0,
        rest=0.04,
    )
    gripper = JointGroup(
        kind="gripper",
        side="right",
        command_hz=50,
        slots=(18, 19),
        unit="open_fraction",
        joints=(finger,),
        open=(0.04,),
        closed=(0.0,),
        servo=Servo(stiffness=1000.0, damping=50.0),
    )
    camera = Camera(width=64, height=64, fps=20, position=(1.0, 0.0, 1.0), look_at=(0.4, 0.0, 0.2), fovy=45.0)
    return msgspec.structs.replace(
        spec,
        name="franka",
        model="fr3_gripper",
        action_hz=20,
        groups={"arm": spec.groups["right_arm"], "gripper": gripper},
        end_effectors={
            "right": EndEffector(frame="fr3_hand_tcp", groups=("arm",), position=(0, 3), rotation=(3, 6)),
        },
        cameras={"top_view": camera, "wrist_view": camera},
        twin=None,
    )
