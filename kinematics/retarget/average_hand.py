"""The hand of an average adult, from published measurements, where no hand of your own is given.

Lengths of the segments as parts of the hand's length, and positions of the fingers' first joints as parts of the
hand's length (from the wrist crease) and breadth (from the middle finger's axis): Buchholz, Armstrong, Goldstein,
Anthropometric data for describing the kinematics of the human hand, Ergonomics 35(3), 1992. Length and breadth: rounded
means of women and men, Gordon et al., 1988 Anthropometric Survey of U.S. Army Personnel, 1989.

Assumed, because the measurements do not say it: the fingers lie parallel in one plane, the wrist crease is over the
wrist joint, and the stretched thumb points 40 degrees to the side and 20 degrees to the inside of the palm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.retarget.hand_skeleton import HandSkeleton
from unichunk.kinematics.retarget.mano import FINGERS, MANO_FINGERS, parse_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.kinematics.description import Side

ADULT_HAND_LENGTH: Final = 0.187
"""From the wrist crease to the tip of the middle finger, [m]."""

ADULT_HAND_BREADTH: Final = 0.085
"""Across the knuckles, [m]."""

_KNUCKLES: Final = {
    "thumb": (0.073, 0.196),
    "index": (0.447, 0.251),
    "middle": (0.446, 0.0),
    "ring": (0.409, -0.206),
    "pinky": (0.368, -0.402),
}
"""First joints: ahead of the wrist per hand length, towards the thumb per hand breadth."""

_SEGMENTS: Final = {
    "thumb": (0.251, 0.196, 0.158),
    "index": (0.245, 0.143, 0.097),
    "middle": (0.266, 0.170, 0.108),
    "ring": (0.244, 0.165, 0.107),
    "pinky": (0.204, 0.117, 0.093),
}
"""From each joint to the next, the last one to the fingertip, per hand length."""

_THUMB_TO_THE_SIDE: Final = np.deg2rad(40.0)
_THUMB_TO_THE_INSIDE: Final = np.deg2rad(20.0)


def average_hand(
    side: Side, hand_length: float = ADULT_HAND_LENGTH, hand_breadth: float = ADULT_HAND_BREADTH
) -> HandSkeleton:
    """An average adult's hand, or one of other size in the same proportions.

    Args:
        side: Which hand.
        hand_length: From the wrist crease to the tip of the middle finger, [m].
        hand_breadth: Across the knuckles, without the thumb, [m].

    Raises:
        RetargetError: Where a size is not that of a hand.
    """
    parse_side(side)
    for name, size in (("length", hand_length), ("breadth", hand_breadth)):
        if not 0.02 < size < 0.3:
            raise RetargetError(f"hand {name} {size} m: expected 0.02 to 0.3")
    chains = {finger: _chain(finger, hand_length, hand_breadth) for finger in FINGERS}
    joints = np.concatenate([chains[finger][:3] for finger in MANO_FINGERS])
    right = HandSkeleton("right", joints, np.stack([chains[finger][3] for finger in FINGERS]))
    return right if side == "right" else right.mirrored()


def _chain(finger: str, hand_length: float, hand_breadth: float) -> NDArray[np.float64]:
    """Three joints and the tip of a finger of the right hand, shape (4, 3), [m]."""
    ahead, aside = _KNUCKLES[finger]
    distances = hand_length * np.cumsum([0.0, *_SEGMENTS[finger]])
    knuckle = np.array([-ahead * hand_length, 0.0, aside * hand_breadth])
    chain: NDArray[np.float64] = knuckle + distances[:, None] * _direction(finger)
    return chain


def _direction(finger: str) -> NDArray[np.float64]:
    """Where a stretched finger of the right hand points, unit length, shape (3,)."""
    if finger != "thumb":
        return np.array([-1.0, 0.0, 0.0])
    flat = np.cos(_THUMB_TO_THE_INSIDE)
    return np.array(
        [-flat * np.cos(_THUMB_TO_THE_SIDE), -np.sin(_THUMB_TO_THE_INSIDE), flat * np.sin(_THUMB_TO_THE_SIDE)]
    )
