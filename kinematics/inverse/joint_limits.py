"""What a model's joints may do, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.errors import KinematicsError, WrongShape
from unichunk.kinematics.robot_model import joint_names
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    import pinocchio as pin
    from numpy.typing import ArrayLike, NDArray

FASTEST: Final = 1e6
"""Velocity limits beyond this are no limits, [rad/s] or [m/s]."""

WIDEST: Final = 1e3
"""Position limits beyond this are refused, [rad] or [m]: a solver cannot draw configurations from them."""

SLACK: Final = 0.1
"""A robot may stand this far outside its position limits, [rad] or [m]; farther out it is not there (degrees?)."""


@dataclass(frozen=True)
class JointLimits:
    """Limits of all joints of a model, each shape (nq,), in the order of q.

    Attributes:
        names: The joints.
        lower: Smallest position, [rad] or [m].
        upper: Largest position, [rad] or [m].
        velocity: Largest velocity, [rad/s] or [m/s].
    """

    names: tuple[str, ...]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    velocity: NDArray[np.float64]

    @classmethod
    def of(cls, model: pin.Model, velocity_limit: ArrayLike | None) -> JointLimits:
        """The model's limits, or other velocity limits.

        Raises:
            KinematicsError: Where a joint has more than one degree of freedom, or a limit makes no sense.
        """
        names = joint_names(model)
        if model.nq != model.nv or model.nq != len(names):
            raise KinematicsError(
                f"model {model.name}: {model.nq} positions and {model.nv} velocities of {len(names)} joints; expected "
                "one each: revolute or prismatic joints with limits"
            )
        lower, upper = np.array(model.lowerPositionLimit), np.array(model.upperPositionLimit)
        for name, low, high in zip(names, lower, upper, strict=True):
            if not -WIDEST <= low <= high <= WIDEST:
                raise KinematicsError(
                    f"model {model.name}: {name} has position limits {low:g} and {high:g}, expected numbers from "
                    f"{-WIDEST:g} to {WIDEST:g}, the lower one first"
                )
        limits = cls(names, lower, upper, np.array(model.velocityLimit))
        velocity = limits.velocity if velocity_limit is None else limits.vector("velocity_limit", velocity_limit)
        for name, fastest in zip(names, velocity, strict=True):
            if not fastest >= 0.0:
                raise KinematicsError(f"velocity_limit of {name}: {fastest:g}, expected a number that is not negative")
        return cls(names, lower, upper, np.minimum(velocity, FASTEST))

    def vector(self, what: str, values: ArrayLike) -> NDArray[np.float64]:
        """A value per joint, shape (nq,).

        Raises:
            WrongShape: With the joints' names.
        """
        vector = float_array(values, what, len(self.names))
        if vector.ndim != 1:
            raise WrongShape(f"{what}: shape {vector.shape}, expected ({len(self.names)},): {', '.join(self.names)}")
        return vector

    def start(self, q_start: ArrayLike, *, as_measured: bool) -> tuple[NDArray[np.float64], bool]:
        """A start within the limits, and whether the one given can be followed from.

        Args:
            q_start: Shape (nq,), [rad] or [m].
            as_measured: Whether that is where the robot is, so that it may be outside the limits by `SLACK` at most.

        Returns:
            Positions within the limits, shape (nq,), the middle of the range where one is not finite; and the verdict.
        """
        start = self.vector("q_start", q_start)
        known = np.isfinite(start)
        inside = np.minimum(np.maximum(np.where(known, start, 0.5 * (self.lower + self.upper)), self.lower), self.upper)
        if not known.all():
            return inside, False
        return inside, not as_measured or bool((np.abs(start - inside) <= SLACK).all())
