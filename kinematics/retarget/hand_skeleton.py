"""A human hand's bones: where its joints and fingertips are for given rotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from unichunk.kinematics.description import Side  # noqa: TC001 - msgspec reads the annotations
from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.retarget.hand_scale import HandLandmarks
from unichunk.kinematics.retarget.mano import FINGERS, MANO_FINGERS, MANO_JOINTS, parse_side
from unichunk.kinematics.rotation import from_axis_angle
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

_SHORTEST_BONE: Final = 1e-3
_LARGEST_HAND: Final = 0.4
_OTHER_SIDE: Final[dict[Side, Side]] = {"right": "left", "left": "right"}
_TIP_ORDER: Final = [MANO_FINGERS.index(finger) for finger in FINGERS]


class _SkeletonFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    side: Side
    joints: dict[str, tuple[float, float, float]]
    fingertips: dict[str, tuple[float, float, float]]
    source: str = ""


@dataclass(frozen=True)
class HandSkeleton:
    """Rest positions of a hand: the flat hand, all of MANO's rotations zero.

    Attributes:
        side: Which hand it is.
        joints: Joints in the wrist frame (see `mano`), shape (15, 3), [m], in the order of `MANO_JOINTS`.
        fingertips: Fingertips in the wrist frame, shape (5, 3), [m], in the order of `FINGERS`.

    Raises:
        RetargetError: Where these are not the positions of a hand of this side in metres.
    """

    side: Side
    joints: NDArray[np.float64]
    fingertips: NDArray[np.float64]

    def __post_init__(self) -> None:
        parse_side(self.side)
        joints = float_array(self.joints, "joints of a hand", len(MANO_JOINTS), 3)
        fingertips = float_array(self.fingertips, "fingertips of a hand", len(FINGERS), 3)
        _check_positions(MANO_JOINTS, joints, "joint")
        _check_positions(FINGERS, fingertips, "fingertip of the")
        ahead = -1.0 if self.side == "right" else 1.0
        if not (fingertips[:, 0] * ahead > 0).all():
            raise RetargetError(
                f"a {self.side} hand's fingertips: expected all of them at {'negative' if ahead < 0 else 'positive'} x "
                f"(MANO's wrist frame), got x = {', '.join(f'{x:.3f}' for x in fingertips[:, 0])} m"
            )
        for name, length in zip(MANO_JOINTS, np.linalg.norm(self._bones, axis=-1).ravel(), strict=True):
            if length < _SHORTEST_BONE:
                raise RetargetError(f"the bone beyond {name}: {length:.4f} m long, expected more than {_SHORTEST_BONE}")

    @classmethod
    def load(cls, path: Path) -> HandSkeleton:
        """A hand from a JSON file.

        The file has `side`, `joints` (the 15 names of `MANO_JOINTS`, each with x, y, z), `fingertips` (the 5 names of
        `FINGERS`) and, if you like, `source`. For a person's own hand take the joints that the MANO model gives for
        the person's shape (slots 90-110 of the unified space) and zero rotations, less the position of the wrist, and
        the tips from its mesh. The MANO model has a licence of its own and is not part of this project.

        Raises:
            RetargetError: One line with what is wrong with the file.
        """
        try:
            file = msgspec.json.decode(path.read_bytes(), type=_SkeletonFile)
            joints, fingertips = (
                _table(file.joints, MANO_JOINTS, "joints"),
                _table(file.fingertips, FINGERS, "fingertips"),
            )
            return cls(file.side, joints, fingertips)
        except OSError as error:
            raise RetargetError(f"hand skeleton {path}: cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise RetargetError(f"hand skeleton {path}: {error}") from error

    @property
    def knuckles(self) -> NDArray[np.float64]:
        """First joint of each finger in the wrist frame, shape (5, 3), [m], in the order of `FINGERS`."""
        return self.joints.reshape(len(MANO_FINGERS), 3, 3)[_TIP_ORDER, 0]

    def landmarks(self) -> HandLandmarks:
        """Knuckles and fingertips of the flat hand, in the wrist frame."""
        return HandLandmarks(self.side, FINGERS, self.knuckles, self.fingertips)

    def mirrored(self) -> HandSkeleton:
        """The other hand: the mirror image in the plane x = 0 of the wrist frame."""
        mirror = np.array([-1.0, 1.0, 1.0])
        return HandSkeleton(_OTHER_SIDE[self.side], self.joints * mirror, self.fingertips * mirror)

    def joint_positions(self, rotations: ArrayLike) -> NDArray[np.float64]:
        """Joints in the wrist frame.

        Args:
            rotations: Axis-angle vectors, shape (..., 15, 3), [rad], of this side's hand.

        Returns:
            Shape (..., 15, 3), [m]; NaN beyond joints whose rotation is not finite.
        """
        positions = self._chains(rotations)[..., :3, :]
        return positions.reshape(*positions.shape[:-3], len(MANO_JOINTS), 3)

    def fingertip_positions(self, rotations: ArrayLike) -> NDArray[np.float64]:
        """Fingertips in the wrist frame.

        Args:
            rotations: Axis-angle vectors, shape (..., 15, 3), [rad], of this side's hand.

        Returns:
            Shape (..., 5, 3), [m], in the order of `FINGERS`; NaN for fingers with a rotation that is not finite.
        """
        return self._chains(rotations)[..., _TIP_ORDER, 3, :]

    @property
    def _bones(self) -> NDArray[np.float64]:
        """From each joint to the next or the tip, shape (5, 3, 3): MANO's fingers, joints, x y z."""
        joints = self.joints.reshape(len(MANO_FINGERS), 3, 3)
        tips = self.fingertips[[FINGERS.index(finger) for finger in MANO_FINGERS]]
        return np.diff(np.concatenate([joints, tips[:, None]], axis=1), axis=1)

    def _chains(self, rotations: ArrayLike) -> NDArray[np.float64]:
        """Three joints and the tip of each of MANO's fingers, shape (..., 5, 4, 3)."""
        turns = from_axis_angle(float_array(rotations, "rotations", len(MANO_JOINTS), 3))
        turns = turns.reshape(*turns.shape[:-3], len(MANO_FINGERS), 3, 3, 3)
        bones, knuckles = self._bones, self.joints[::3]
        positions = [np.broadcast_to(knuckles, (*turns.shape[:-4], *knuckles.shape))]
        turned = np.eye(3)
        for number in range(3):
            turned = turned @ turns[..., number, :, :]
            positions.append(positions[-1] + (turned @ bones[:, number, :, None])[..., 0])
        return np.stack(positions, axis=-2)


def _check_positions(names: Sequence[str], positions: NDArray[np.float64], kind: str) -> None:
    for name, distance in zip(names, np.linalg.norm(positions, axis=-1), strict=True):
        if not distance < _LARGEST_HAND:
            raise RetargetError(f"{kind} {name}: {distance:.3f} m from the wrist, expected less than {_LARGEST_HAND} m")


def _table(positions: dict[str, tuple[float, float, float]], names: Sequence[str], field: str) -> NDArray[np.float64]:
    for name in names:
        if name not in positions:
            raise RetargetError(f"{field}: {name} is missing, expected {', '.join(names)}")
    for name in positions:
        if name not in names:
            raise RetargetError(f"{field}: unknown {name!r}, expected {', '.join(names)}")
    return np.array([positions[name] for name in names])
