"""The human hand as policies speak of it: the joints of MANO, and what its wrist frame is.

MANO (Romero, Tzionas, Black: Embodied Hands, 2017) turns a hand by one rotation per joint, each relative to its parent,
with all joint frames parallel to the wrist frame where every rotation is zero. Names and order of the joints are those
of its kinematic tree, as in smplx's `joint_names.py`. Zero is the flat hand (`flat_hand_mean=True`): to rotations that
are relative to MANO's mean pose, add that pose first.

The wrist frame of the right hand, palm down, fingers straight ahead: x from the fingertips to the wrist, y out of the
back of the hand, z from the little finger to the thumb; the origin is the wrist joint. The left hand's frame is its
mirror image in the plane x = 0: x from the wrist to the fingertips, y out of the back of the hand, z to the thumb.
Public sources that agree: github.com/gmntu/mobilehand issue 12 (drawing of the right hand's axes), the constant
`OPERATOR2MANO_RIGHT` of dexsuite/dex-retargeting, `fliplr_params` of geopavlakos/hamer (the mirror).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, get_args

import numpy as np

from unichunk.kinematics.description import Finger, Side
from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FINGERS: Final[tuple[Finger, ...]] = get_args(Finger)
"""Order of fingertips in every array of this package: thumb, index, middle, ring, pinky."""

MANO_FINGERS: Final = ("index", "middle", "pinky", "ring", "thumb")
"""Order of the fingers in MANO's tree."""

MANO_JOINTS: Final = tuple(f"{finger}{number}" for finger in MANO_FINGERS for number in (1, 2, 3))
"""Order of MANO's 15 rotations; 1 is the joint next to the palm."""

_MIRROR: Final = np.array([1.0, -1.0, -1.0])


def parse_side(side: str) -> Side:
    """The side that a text names.

    Raises:
        RetargetError: Where it is neither right nor left.
    """
    if side not in get_args(Side):
        raise RetargetError(f"hand side {side!r}: expected right or left")
    return cast("Side", side)


def mirrored(rotations: ArrayLike) -> NDArray[np.float64]:
    """Rotations of the other hand in the same posture: the mirror image in the plane x = 0.

    Also what turns a left hand that is given with the right hand's model (VITRA, HaMeR, HaWoR) into MANO's left hand.

    Args:
        rotations: Axis-angle vectors, shape (..., 3), [rad].

    Returns:
        Shape (..., 3), [rad].
    """
    other: NDArray[np.float64] = float_array(rotations, "rotations", 3) * _MIRROR
    return other
