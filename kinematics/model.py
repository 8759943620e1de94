"""Robot models: where their URDF files are, and where their frames are for given joint positions.

Forward kinematics here is plain numpy, batched over configurations, and needs nothing installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from unichunk.kinematics.errors import KinematicsError, UnknownModel
from unichunk.kinematics.rotation import about_axis, from_rpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def urdf_names() -> tuple[str, ...]:
    """File names of all models that ship with the project, sorted."""
    folder = resources.files("unichunk.kinematics") / "urdf"
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".urdf")))


def urdf_path(name: str) -> Path:
    """The URDF file of a shipped model, as specs name it (`so101.urdf`).

    Raises:
        UnknownModel: Where no model goes by that name.
    """
    if name not in urdf_names():
        raise UnknownModel(f"unknown model {name!r}: expected one of {', '.join(urdf_names())}")
    return Path(str(resources.files("unichunk.kinematics") / "urdf" / name))


@dataclass(frozen=True)
class ModelJoint:
    """One joint of a model.

    Attributes:
        name: The joint's name.
        parent: Link it is fixed to.
        child: Link it moves.
        origin: Pose of the joint in the parent link at position zero, shape (4, 4), [m].
        axis: Axis of rotation in the joint's frame, unit length, shape (3,); None for a fixed joint.
        lower: Lower position limit, [rad].
        upper: Upper position limit, [rad].
    """

    name: str
    parent: str
    child: str
    origin: NDArray[np.float64]
    axis: NDArray[np.float64] | None
    lower: float
    upper: float


class KinematicModel:
    """A tree of revolute and fixed joints, each of which moves by itself.

    Args:
        joints: All joints of the tree.
        order: Names of the moving joints in the order of the configuration vector q; all others stay at zero.
    """

    def __init__(self, joints: Sequence[ModelJoint], order: Sequence[str]) -> None:
        self._by_child = {joint.child: joint for joint in joints}
        self.joints = {joint.name: joint for joint in joints}
        self.order = tuple(order)
        for name in self.order:
            if name not in self.joints or self.joints[name].axis is None:
                movable = ", ".join(joint.name for joint in joints if joint.axis is not None)
                raise UnknownModel(f"unknown moving joint {name!r}: the model has {movable}")

    @classmethod
    def from_urdf(cls, path: Path, order: Sequence[str]) -> KinematicModel:
        """Read a URDF file.

        Raises:
            KinematicsError: Where a joint is neither revolute nor fixed, or mimics another one.
        """
        root = ElementTree.parse(path).getroot()  # noqa: S314 - only files of this project are parsed
        return cls([_joint(element) for element in root.findall("joint")], order)

    def frame_pose(self, q: ArrayLike, frame: str) -> NDArray[np.float64]:
        """Pose of a link or frame in the base link.

        Args:
            q: Joint positions, shape (..., n), [rad], in the order given at construction.
            frame: Name of the link.

        Returns:
            Homogeneous transforms pose_frame_in_base, shape (..., 4, 4), [m].

        Raises:
            UnknownModel: Where the model has no such link.
        """
        q = np.asarray(q, dtype=np.float64)
        pose = np.broadcast_to(np.eye(4), (*q.shape[:-1], 4, 4))
        for joint in self._chain(frame):
            pose = pose @ joint.origin
            if joint.axis is not None and joint.name in self.order:
                pose = pose @ about_axis(joint.axis, q[..., self.order.index(joint.name)])
        return pose

    def frame_jacobian(self, q: ArrayLike, frame: str) -> NDArray[np.float64]:
        """Geometric Jacobian of a frame: linear velocity of its origin, then angular velocity, both in the base link.

        Args:
            q: Joint positions, shape (..., n), [rad].
            frame: Name of the link.

        Returns:
            Shape (..., 6, n), [m/rad] and [rad/rad].
        """
        q = np.asarray(q, dtype=np.float64)
        tip = self.frame_pose(q, frame)[..., :3, 3]
        pose = np.broadcast_to(np.eye(4), (*q.shape[:-1], 4, 4))
        jacobian = np.zeros((*q.shape[:-1], 6, len(self.order)))
        for joint in self._chain(frame):
            pose = pose @ joint.origin
            if joint.axis is None or joint.name not in self.order:
                continue
            column = self.order.index(joint.name)
            axis = pose[..., :3, :3] @ joint.axis
            jacobian[..., :3, column] = np.cross(axis, tip - pose[..., :3, 3])
            jacobian[..., 3:, column] = axis
            pose = pose @ about_axis(joint.axis, q[..., column])
        return jacobian

    def _chain(self, frame: str) -> list[ModelJoint]:
        chain: list[ModelJoint] = []
        link = frame
        while link in self._by_child:
            chain.append(self._by_child[link])
            link = self._by_child[link].parent
        if not chain:
            raise UnknownModel(f"unknown frame {frame!r}: the model has {', '.join(self._by_child)}")
        return chain[::-1]


def _joint(element: ElementTree.Element) -> ModelJoint:
    origin = element.find("origin")
    pose = np.eye(4)
    if origin is not None:
        pose[:3, :3] = from_rpy(_floats(origin.get("rpy", "0 0 0")))
        pose[:3, 3] = _floats(origin.get("xyz", "0 0 0"))
    axis, limit = element.find("axis"), element.find("limit")
    kind, name = element.get("type", ""), element.get("name", "")
    if kind not in {"revolute", "continuous", "fixed"}:
        raise KinematicsError(f"joint {name}: type {kind!r} is not supported, expected revolute, continuous or fixed")
    mimic = element.find("mimic")
    if mimic is not None and kind != "fixed":
        raise KinematicsError(
            f"joint {name}: mimics {mimic.get('joint', '')!r}, expected joints that each move by themselves: "
            "take robot_model, whose models have joints that mimic"
        )
    direction = None
    if kind != "fixed":
        direction = np.array(_floats("1 0 0" if axis is None else axis.get("xyz", "1 0 0")))
        direction /= np.linalg.norm(direction)
    return ModelJoint(
        name=name,
        parent=_link(element, "parent"),
        child=_link(element, "child"),
        origin=pose,
        axis=direction,
        lower=-np.inf if limit is None else float(limit.get("lower", "-inf")),
        upper=np.inf if limit is None else float(limit.get("upper", "inf")),
    )


def _link(element: ElementTree.Element, role: str) -> str:
    found = element.find(role)
    if found is None:
        raise KinematicsError(f"joint {element.get('name')}: no <{role} link=.../>")
    return found.get("link", "")


def _floats(text: str) -> list[float]:
    return [float(word) for word in text.split()]
