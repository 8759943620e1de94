"""What inverse kinematics is asked for: one goal per frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from unichunk.kinematics.errors import KinematicsError

GoalKind: TypeAlias = Literal["pose", "position", "orientation"]


@dataclass(frozen=True)
class FrameGoal:
    """A frame of the model that is to reach a target.

    Attributes:
        frame: Name of the frame (a link of the URDF).
        kind: Which part of the target counts; the other part of the target matrix is not looked at.
        weight: How much an error of this frame counts against those of others where not all can be met, > 0; the
            largest and the smallest of a solver's goals differ by a factor of 100 at most.
    """

    frame: str
    kind: GoalKind = "pose"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(GoalKind):
            raise KinematicsError(
                f"goal of {self.frame}: unknown kind {self.kind!r}, expected one of {', '.join(get_args(GoalKind))}"
            )
        if not 0.0 < self.weight < float("inf"):
            raise KinematicsError(f"goal of {self.frame}: weight {self.weight} is not a positive number")

    @property
    def has_position(self) -> bool:
        """Whether the target's position counts."""
        return self.kind != "orientation"

    @property
    def has_orientation(self) -> bool:
        """Whether the target's orientation counts."""
        return self.kind != "position"
