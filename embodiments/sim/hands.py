"""Postures that hands and grippers are told to have while they follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from unichunk.embodiments.errors import SpecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

Posture = Literal["half", "open", "closed"]
"""Half-way between the open and the closed hand where nothing was said."""

POSTURES: Final[tuple[Posture, ...]] = ("half", "open", "closed")
"""All of them, in the order of the numbers that arrays hold."""

CLOSED_FRACTION: Final[dict[Posture, float]] = {"half": 0.5, "open": 0.0, "closed": 1.0}
"""How far each is from the open hand to the closed one."""

POSTURE_NEAR: Final = 0.15
"""A hand has the posture if its error is below this: beyond a third of the way to the next one it has not."""


class Hands:
    """All joints of a robot's hands and grippers.

    Args:
        spec: The robot.

    Attributes:
        index: Places of these joints in command order, shape (h,).

    Raises:
        SpecError: Where a hand does not say how it is open and closed.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        opened: list[float] = []
        closed: list[float] = []
        index: list[int] = []
        for name, group in spec.groups.items():
            if group.kind not in ("hand", "gripper"):
                continue
            if group.open is None or group.closed is None:
                raise SpecError(
                    f"embodiment.groups.{name}: a {group.kind} needs `open` and `closed` to follow with a posture, "
                    "add the joint positions of both"
                )
            index += spec.joint_index(name)
            opened += group.open
            closed += group.closed
        self.index = np.array(index, dtype=np.int64)
        self._open, self._span = np.array(opened), np.array(closed) - np.array(opened)
        self._values = np.stack([self._open + CLOSED_FRACTION[posture] * self._span for posture in POSTURES])
        self._counts = self._span != 0.0
        self._scale = np.where(self._counts, np.abs(self._span), 1.0)

    def values(self, posture: NDArray[np.int64] | Posture) -> NDArray[np.float64]:
        """Joint positions of postures.

        Args:
            posture: One by name, or indices into `POSTURES` of any shape.

        Returns:
            Shape (..., h), [rad].
        """
        values: NDArray[np.float64] = self._values[POSTURES.index(posture) if isinstance(posture, str) else posture]
        return values.copy()

    def error(self, q: NDArray[np.float64], posture: NDArray[np.int64] | Posture) -> NDArray[np.float64]:
        """How far the hands are from a posture, as a fraction of the way from open to closed.

        Args:
            q: Positions of all the robot's joints, shape (..., n), [rad].
            posture: One by name, or an index into `POSTURES` for each row.

        Returns:
            Mean over the joints that an open and a closed hand have apart, shape (...); 0 where there are none.
        """
        away = np.abs(q[..., self.index] - self.values(posture)) / self._scale
        error: NDArray[np.float64] = (away * self._counts).sum(axis=-1) / max(int(self._counts.sum()), 1)
        return error


def hand_posture(spec: EmbodimentSpec, posture: Posture) -> NDArray[np.float64]:
    """Joint positions of all hands and grippers in a posture, in command order of those joints, shape (h,), [rad]."""
    return Hands(spec).values(posture)
