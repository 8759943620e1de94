"""Where the links of a robot are according to the published joint data, computed without the project's code.

Quaternions instead of matrices, up from the link instead of down from the base, and no URDF anywhere.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[1] / "data" / "robots"


@dataclass(frozen=True)
class Pose:
    """A frame in another: position, shape (3,), [m]; orientation, a unit quaternion, real part first, shape (4,)."""

    position: np.ndarray
    orientation: np.ndarray

    def __matmul__(self, other: Pose) -> Pose:
        return Pose(
            self.position + rotate(self.orientation, other.position),
            quaternion_product(self.orientation, other.orientation),
        )

    @property
    def matrix(self) -> np.ndarray:
        """The homogeneous transform, shape (4, 4): its columns are where the axes and the origin go."""
        columns = [rotate(self.orientation, axis) for axis in np.eye(3)]
        matrix = np.eye(4)
        matrix[:3, :] = np.stack([*columns, self.position], axis=-1)
        return matrix


IDENTITY = Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))


def quaternion_product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    (w, x, y, z), (p, q, r, s) = one, other
    return np.array(
        [
            w * p - x * q - y * r - z * s,
            w * q + x * p + y * s - z * r,
            w * r - x * s + y * p + z * q,
            w * s + x * r - y * q + z * p,
        ]
    )


def rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    conjugate = quaternion * np.array([1, -1, -1, -1])
    return quaternion_product(quaternion_product(quaternion, np.array([0.0, *vector])), conjugate)[1:]


def turn(axis: Any, angle: float) -> np.ndarray:
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) * np.asarray(axis, dtype=float))])


def origin_pose(xyz: Any, rpy: Any) -> Pose:
    """The pose that URDF's xyz and rpy mean: turns about the fixed axes x, then y, then z."""
    roll, pitch, yaw = rpy
    about_z_y = quaternion_product(turn([0, 0, 1], yaw), turn([0, 1, 0], pitch))
    return Pose(np.array(xyz, dtype=float), quaternion_product(about_z_y, turn([1, 0, 0], roll)))


class SourceKinematics:
    """The published joints of one robot.

    Args:
        file: Name of the file in tests/data/robots.
    """

    def __init__(self, file: str) -> None:
        facts = json.loads((DATA / file).read_text(encoding="utf-8"))
        self.joints: dict[str, dict[str, Any]] = {joint["name"]: joint for joint in facts["joints"]}
        self.masses: dict[str, float] = {
            link["name"]: link["mass"] for link in facts.get("links", []) if link["mass"] is not None
        }

    def poses(self, base: str, positions: dict[str, float]) -> dict[str, Pose]:
        """Poses in a link of all links that hang on it.

        Args:
            base: The link.
            positions: Positions of the joints that do not mimic another one, [rad] or [m], by name.
        """
        by_child = {joint["child"]: joint for joint in self.joints.values()}
        poses = {base: IDENTITY}

        def pose_in_base(link: str) -> Pose | None:
            if link not in poses and link in by_child:
                parent = pose_in_base(by_child[link]["parent"])
                if parent is not None:
                    poses[link] = parent @ _moved(by_child[link], positions)
            return poses.get(link)

        for link in by_child:
            pose_in_base(link)
        return poses


def joint_position(joint: dict[str, Any], positions: dict[str, float]) -> float:
    """Where a moving joint is: as given, or as the joint that it mimics has it."""
    if "mimic" not in joint:
        return positions[joint["name"]]
    mimic = joint["mimic"]
    return float(mimic.get("multiplier", 1)) * positions[mimic["joint"]] + float(mimic.get("offset", 0))


def _moved(joint: dict[str, Any], positions: dict[str, float]) -> Pose:
    """Pose of a joint's child in its parent."""
    origin = origin_pose(joint["origin_xyz"], joint["origin_rpy"])
    if joint["type"] == "fixed":
        return origin
    position = joint_position(joint, positions)
    if joint["type"] == "prismatic":
        return origin @ Pose(position * np.asarray(joint["axis"], dtype=float), IDENTITY.orientation)
    return origin @ Pose(np.zeros(3), turn(joint["axis"], position))
