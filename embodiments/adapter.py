"""The adapter between a robot's joints and a policy's keys, driven by the spec and by the bundle's entry for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.embodiments.adapter_checks import check_actions, check_rates_and_cameras, goal_kinds
from unichunk.embodiments.adapter_frames import check_poses_stand
from unichunk.embodiments.adapter_goals import EndEffectorGoals
from unichunk.embodiments.adapter_keys import FramePart, JointPart, bound_keys
from unichunk.embodiments.adapter_poses import EndEffectorPoses
from unichunk.embodiments.adapter_rotation import rotation_in
from unichunk.embodiments.adapter_tracking import EndEffectorTracking
from unichunk.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.adapter_keys import BoundKey, Quantity
    from unichunk.embodiments.spec import EmbodimentSpec, Side
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.policy.manifest import Manifest, RobotEntry


class EmbodimentAdapter:
    """Between one robot's joints and one policy's keys.

    Keys are matched by their slots in the unified space. In joint form an action is absolute joint positions; in
    end-effector form it is a displacement from the row before (`unichunk.kinematics.displacement`), or a pose, along
    the axes of the base or of a camera, which inverse kinematics follows. A state may have both. Hands may also be
    told as a human hand's joints or fingertips (`unichunk.kinematics.retarget`). A head or waist without an action
    stays where it is.

    A camera that the robot carries is taken to be where the last committed row has it. Displacements turn with it;
    poses in its picture are for cameras that no action moves.

    `joints` is for one thread at a time; everything else may be called from any.

    Args:
        spec: The embodiment.
        robot: The bundle's entry for it.
        origin: What to call the bundle in messages.

    Raises:
        BundleError: Where the policy does not drive this robot: an unknown camera, another rate, slots that the robot
            does not have, an arm or hand without an action or with two, poses in the picture of a camera that moves.
    """

    def __init__(self, spec: EmbodimentSpec, robot: RobotEntry, origin: str = "the bundle") -> None:
        check_rates_and_cameras(spec, robot, origin)
        self._cameras = robot.cameras
        self._state = bound_keys(spec, robot, "state", origin)
        self._action = bound_keys(spec, robot, "action", origin)
        check_actions(spec, self._action, origin)
        self._seen = _poses(spec, self._state)
        self._told = _poses(spec, self._action)
        self._tracking = None
        if self._told is not None:
            check_poses_stand(spec, self._told, self._action, origin)
            self._tracking = EndEffectorTracking(spec, self._told, goal_kinds(self._action))
            self._goals = EndEffectorGoals(spec, self._told, self._action)
        self.displacement_slots = np.array(
            [
                slot
                for key in self._action
                for slot, part in zip(range(*key.slots), _by_slot(key), strict=True)
                if isinstance(part, FramePart) and not part.absolute
            ],
            np.int64,
        )
        """Unified slots of the actions that are displacements: zero there means stay."""
        self.kinematic = any(not isinstance(part, JointPart) for key in self._action for part in key.parts)
        """Whether `actions` takes forward kinematics, which is nothing for the control thread."""

    @classmethod
    def for_manifest(cls, spec: EmbodimentSpec, manifest: Manifest, origin: str) -> EmbodimentAdapter:
        """The adapter for a bundle that may drive several robots.

        Args:
            spec: The embodiment.
            manifest: The bundle's description.
            origin: What to call it in messages.

        Raises:
            BundleError: Where it does not drive this one.
        """
        if spec.name not in manifest.robots:
            raise BundleError(
                f"{origin}: policy {manifest.name!r} drives {', '.join(manifest.robots)}, not {spec.name}; "
                "choose another bundle or another embodiment"
            )
        return cls(spec, manifest.robots[spec.name], origin)

    def policy_input(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """`video.<camera>` (H, W, 3) uint8, `state.<key>` (width,), `language.instruction`."""
        frames, q = observation.frames, observation.state.q[None]
        inputs: dict[str, Any] = {f"video.{name}": frames[name].image for name in self._cameras if name in frames}
        poses = {} if self._seen is None else dict(zip(self._seen.sides, self._seen.poses(q), strict=True))
        for key in self._state:
            values: dict[tuple[Side, Quantity], NDArray[np.float64]] = {}
            for side, pose in poses.items():
                values[side, "position"] = pose[:, :3, 3]
                values[side, "rotation"] = rotation_in(key.rotation, pose[:, :3, :3])
            inputs[key.name] = key.values(q, values)[0]
        inputs["language.instruction"] = instruction
        return inputs

    def joints(
        self, actions: Mapping[str, NDArray[np.float32]], before: NDArray[np.float64], delay: int = 0
    ) -> NDArray[np.float64]:
        """Joint rows of a chunk.

        Args:
            actions: `action.<key>`, each (T, width).
            before: The joint row that runs right before row `delay`, shape (n,), [rad].
            delay: d, rows that are not this chunk's own.

        Returns:
            Shape (T, n), [rad], in command order; the rows before `delay` repeat `before`.
        """
        rows = len(next(iter(actions.values())))
        joints: NDArray[np.float64] = np.repeat(before[None], rows, axis=0)
        own = joints[delay:]
        values = {} if self._told is None else self._goals.nothing(len(own))
        for key in self._action:
            key.write(actions[key.name][delay:], own, values)
        if self._tracking is not None and len(own):
            self._tracking.reach(self._goals.targets(values, before), before, own)
        return joints

    def actions(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """What commands these joint rows (m, n) after `before` (n,), [rad]: `action.<key>` -> (m, width)."""
        values = {} if self._told is None else self._goals.values(joints, before)
        return {key.name: key.values(joints, values) for key in self._action}

    def statistics(self) -> dict[str, int]:
        """How the rows that inverse kinematics was asked for ended, by name; empty for policies in joint form."""
        return {} if self._tracking is None else self._tracking.counts.as_dict()


def _poses(spec: EmbodimentSpec, keys: Iterable[BoundKey]) -> EndEffectorPoses | None:
    """Forward kinematics of the end effectors that keys are about; None where they are about none."""
    about = {part.side for key in keys for part in key.parts if isinstance(part, FramePart)}
    return EndEffectorPoses(spec, [side for side in spec.end_effectors if side in about]) if about else None


def _by_slot(key: BoundKey) -> list[object]:
    return [part for part in key.parts for _ in range(part.width)]
