"""Between joint positions and a device's own units: linear between the joints' limits, clipped there.

What a spec calls `raw`, in `RawUnits`: the device's numbers at the lower and at the upper limit of the joints, and the
device's order of them. For hands this says at the same time which way is open: an Inspire hand, for one, counts 1000
open and 0 closed, while its joints' angles grow as it closes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.errors import SpecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import JointGroup, RawUnits


def to_raw(group: JointGroup, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joint positions in the device's units.

    Args:
        group: A group with `raw`.
        q: Joint positions, shape (..., n), [rad], in the order of the group's joints.

    Returns:
        Shape (..., n), in the device's order and within its range; not a number stays so.

    Raises:
        SpecError: Where the group's device counts in radians.
    """
    raw, lower, upper = _raw(group), *_limits(group)
    share = np.clip((q - lower) / (upper - lower), 0.0, 1.0)
    values: NDArray[np.float64] = raw.at_lower + share * (raw.at_upper - raw.at_lower)
    return values[..., _order(group)]


def to_raw_counts(group: JointGroup, q: NDArray[np.float64]) -> NDArray[np.int64]:
    """As `to_raw`, rounded to whole numbers, for devices that count.

    Raises:
        SpecError: Where the group's device counts in radians.
        ValueError: Where a position is not finite: there is no whole number for it.
    """
    values = to_raw(group, q)
    if not np.isfinite(values).all():
        raise ValueError(f"positions of {', '.join(group.joint_names)}: expected finite numbers, got {q.tolist()}")
    return np.rint(values).astype(np.int64)


def from_raw(group: JointGroup, values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    """The inverse of `to_raw`.

    Args:
        group: A group with `raw`.
        values: The device's numbers, shape (..., n), in the device's order.

    Returns:
        Joint positions, shape (..., n), [rad], in the order of the group's joints and within their limits.

    Raises:
        SpecError: Where the group's device counts in radians.
    """
    raw, lower, upper = _raw(group), *_limits(group)
    share = np.empty(np.shape(values))
    share[..., _order(group)] = (np.asarray(values, np.float64) - raw.at_lower) / (raw.at_upper - raw.at_lower)
    positions: NDArray[np.float64] = lower + np.clip(share, 0.0, 1.0) * (upper - lower)
    return positions


def _raw(group: JointGroup) -> RawUnits:
    if group.raw is None:
        raise SpecError(f"raw of {', '.join(group.joint_names)}: expected the device's units, the spec has none")
    return group.raw


def _limits(group: JointGroup) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([joint.lower for joint in group.joints]), np.array([joint.upper for joint in group.joints])


def _order(group: JointGroup) -> list[int]:
    """Places of the group's joints, in the device's order."""
    order = _raw(group).order
    return list(range(len(group.joints))) if order is None else [group.joint_names.index(name) for name in order]
