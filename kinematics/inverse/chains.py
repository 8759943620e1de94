"""Which joints move which frames, and which goals therefore belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.robot_model import frame_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pinocchio as pin
    from numpy.typing import NDArray


def moving_columns(model: pin.Model, frame: str) -> frozenset[int]:
    """Indices into q of the joints that move a frame; a mimic joint counts as the joint that drives it."""
    return frozenset(model.joints[joint].idx_v for joint in _chain(model, frame) if joint)


@dataclass(frozen=True)
class LimbChain:
    """Goals that share joints, directly or through others.

    Attributes:
        places: Indices of the goals, ascending.
        columns: Indices into q of the joints that may move, shape (n,), ascending.
        root: Index of the joint that carries the whole limb, 0 for the model's base.
        locked: Indices into q of joints beyond the root that move the limb but may not, ascending.
    """

    places: tuple[int, ...]
    columns: NDArray[np.int64]
    root: int
    locked: NDArray[np.int64]


def limb_chains(model: pin.Model, frames: Sequence[str], allowed: frozenset[int]) -> list[LimbChain]:
    """Frames sorted into limbs that can be solved one by one.

    Args:
        model: The robot.
        frames: Frame of each goal.
        allowed: Indices into q of the joints that may move.

    Raises:
        KinematicsError: If none of the joints that may move moves a frame.
    """
    limbs: list[tuple[set[int], frozenset[int]]] = []
    for place, frame in enumerate(frames):
        columns = moving_columns(model, frame) & allowed
        if not columns:
            raise KinematicsError(f"frame {frame}: none of the joints that may move moves it")
        joined = [limb for limb in limbs if limb[1] & columns]
        limbs = [limb for limb in limbs if not limb[1] & columns]
        limbs.append(({place}.union(*(limb[0] for limb in joined)), columns.union(*(limb[1] for limb in joined))))
    return [_limb_chain(model, frames, sorted(places), columns) for places, columns in limbs]


def _limb_chain(model: pin.Model, frames: Sequence[str], places: Sequence[int], columns: frozenset[int]) -> LimbChain:
    chains = [_chain(model, frames[place]) for place in places]
    root, shared = 0, 0
    for joints in zip(*chains, strict=False):
        if len(set(joints)) > 1 or (joints[0] and model.joints[joints[0]].idx_v in columns):
            break
        root, shared = joints[0], shared + 1
    beyond = {model.joints[joint].idx_v for chain in chains for joint in chain[shared:]}
    return LimbChain(tuple(places), _indices(columns), root, _indices(beyond - columns))


def _chain(model: pin.Model, frame: str) -> list[int]:
    """Joints from the base (0) to the frame, as indices into the model's joints."""
    return list(model.supports[model.frames[frame_index(model, frame)].parentJoint])


def _indices(columns: frozenset[int] | set[int]) -> NDArray[np.int64]:
    return np.array(sorted(columns), dtype=np.int64)
