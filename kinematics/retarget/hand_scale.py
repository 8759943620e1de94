"""From a hand of one size and frame to a hand of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.rotation import nearest_rotation
from unichunk.kinematics.shapes import float_array
from unichunk.kinematics.transforms import transform_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from unichunk.kinematics.description import Finger, Side


@dataclass(frozen=True)
class HandLandmarks:
    """Points of an open hand that other hands have too.

    Attributes:
        side: Which hand it is.
        fingers: The fingers, in the order of `FINGERS`; F of them.
        knuckles: First joint of each in the hand's frame (wrist or palm), shape (F, 3), [m].
        fingertips: Tip of each in the same frame, shape (F, 3), [m].
    """

    side: Side
    fingers: tuple[Finger, ...]
    knuckles: NDArray[np.float64]
    fingertips: NDArray[np.float64]

    def in_frame(self, pose_hand_in_frame: ArrayLike) -> HandLandmarks:
        """The same hand in another frame, for fingertips that are given in another one than the hand's own.

        Which wrist frame METIS's fingertips are in is not public. In ARKit's (Vision Pro, EgoDex), users report the
        right wrist's axes as those of `mano`, and the left wrist's as those turned by pi about x
        (github.com/Improbable-AI/VisionProTeleop issue 12).

        Args:
            pose_hand_in_frame: Shape (4, 4), [m].
        """
        knuckles, fingertips = (transform_points(pose_hand_in_frame, p) for p in (self.knuckles, self.fingertips))
        return HandLandmarks(self.side, self.fingers, knuckles, fingertips)

    def points(self, fingers: tuple[Finger, ...]) -> NDArray[np.float64]:
        """Knuckles, then tips, of F of its fingers, shape (2 F, 3), [m]."""
        rows = [self.fingers.index(finger) for finger in fingers]
        return np.concatenate([self.knuckles[rows], self.fingertips[rows]])


@dataclass(frozen=True)
class HandScale:
    """How points of one hand become points of another: turned, stretched finger by finger, moved.

    Attributes:
        fingers: The fingers that both hands have, in the order of `FINGERS`; F of them.
        rotation_source_in_target: Turn from the source hand's frame to the target hand's, shape (3, 3).
        source_in_target: Where the source hand's origin comes to lie, shape (3,), [m].
        scale: Target's size per source's, one per finger, shape (F,).
    """

    fingers: tuple[Finger, ...]
    rotation_source_in_target: NDArray[np.float64]
    source_in_target: NDArray[np.float64]
    scale: NDArray[np.float64]

    @np.errstate(invalid="ignore", over="ignore")
    def to_target(self, fingertips_in_source: ArrayLike) -> NDArray[np.float64]:
        """Points of the target hand.

        Args:
            fingertips_in_source: One point per finger, shape (..., F, 3), [m].

        Returns:
            In the target's frame, shape (..., F, 3), [m]; not finite where the input is not.
        """
        points = float_array(fingertips_in_source, "fingertips", len(self.fingers), 3)
        scaled: NDArray[np.float64] = self.scale[:, None] * (points @ self.rotation_source_in_target.T)
        return scaled + self.source_in_target

    @np.errstate(invalid="ignore", over="ignore")
    def to_source(self, fingertips_in_target: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `to_target`: what the target hand's fingertips are in the source hand's size and frame.

        For policies whose state is a human hand's fingertips.

        Args:
            fingertips_in_target: One point per finger, shape (..., F, 3), [m].

        Returns:
            In the source's frame, shape (..., F, 3), [m]; not finite where the input is not.
        """
        points = float_array(fingertips_in_target, "fingertips", len(self.fingers), 3)
        source: NDArray[np.float64] = ((points - self.source_in_target) / self.scale[:, None]) @ (
            self.rotation_source_in_target
        )
        return source


def fit_hand_scale(source: HandLandmarks, target: HandLandmarks, *, per_finger: bool = False) -> HandScale:
    """The scale between two hands, from both of them held open.

    The similarity (one scale, a rotation, an offset) that brings knuckles and fingertips of the source closest to those
    of the target, in the sense of least squares (Umeyama, Least-Squares Estimation of Transformation Parameters
    Between Two Point Patterns, PAMI 1991). One scale for all keeps contacts: fingertips that touch in the source touch
    in the target. The thumb is transformed like the rest but has no say: hands differ in where an open thumb points.

    Args:
        source: Hand that the fingertips are given for.
        target: Hand that is to move.
        per_finger: Give every finger a scale of its own, with the rotation and offset of the similarity: that with
            which its stretched tip comes closest to the target's. Open hands agree better, contacts no longer hold.

    Raises:
        RetargetError: Where one is a right and the other a left hand, or where they have not got two fingers beside the
            thumb in common.
    """
    if source.side != target.side:
        raise RetargetError(f"a {source.side} hand to a {target.side} hand: expected hands of the same side")
    fingers = tuple(finger for finger in source.fingers if finger in target.fingers)
    compared = tuple(finger for finger in fingers if finger != "thumb")
    if len(compared) < 2:
        raise RetargetError(f"hands with {', '.join(fingers) or 'no finger'} in common: expected two beside the thumb")
    source_points, target_points = source.points(compared), target.points(compared)
    source_mean, target_mean = source_points.mean(axis=0), target_points.mean(axis=0)
    centred = source_points - source_mean
    rotation = nearest_rotation((target_points - target_mean).T @ centred)
    turned = centred @ rotation.T
    scale = (turned * (target_points - target_mean)).sum() / (turned**2).sum()
    offset = target_mean - scale * rotation @ source_mean
    scales = np.full(len(fingers), scale)
    if per_finger:
        reach = source.points(fingers)[len(fingers) :] @ rotation.T
        tips = target.points(fingers)[len(fingers) :]
        scales = (reach * (tips - offset)).sum(axis=1) / (reach**2).sum(axis=1)
    if not (scales > 0).all():
        raise RetargetError(f"scale of the {fingers[int(scales.argmin())]} is {scales.min():.3f}: hands are not alike")
    return HandScale(fingers, rotation, offset, scales)


def same_hand(fingers: tuple[Finger, ...]) -> HandScale:
    """No scaling, one frame: for fingertips that are given in the robot's palm and size already."""
    return HandScale(fingers, np.eye(3), np.zeros(3), np.ones(len(fingers)))
