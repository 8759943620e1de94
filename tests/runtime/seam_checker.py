"""What a late chunk's rows must look like next to what ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.runtime.fake_policy import encode

if TYPE_CHECKING:
    from tests.runtime.fake_policy import Joints, Unified
    from tests.runtime.ring_model import ModelRow
    from tests.runtime.watched_ring import Written

ROUNDING = 1e-9


def check_late_seam(
    ran: ModelRow, raw: Unified, raw_joints: Joints, written: Written, step: Joints, seam: float
) -> None:
    """Check a late chunk's seam.

    Args:
        ran: The row that executed last before the first written one.
        raw: What the policy answered, unified.
        raw_joints: The same as joints.
        written: What reached the ring buffer.
        step: Largest change from row to row, shape (n,), [rad].
        seam: What the record says of it, [rad].
    """
    first, rows = written.first, len(raw) - written.first
    shift = ran.joints - raw_joints[first - 1]
    assert abs(seam - np.max(np.abs(shift))) <= ROUNDING, f"a seam of {seam} is reported, it is {shift}"
    own = raw_joints[first] - raw_joints[first - 1]
    jump = written.joints[first] - ran.joints
    allowed = np.maximum(0.5 * step, np.abs(shift) / rows)
    assert (np.abs(jump - own) <= allowed + ROUNDING).all(), (
        f"the seam jumps by {jump}, the chunk's own change is {own}"
    )
    added = written.joints[first:] - raw_joints[first:]
    assert (np.abs(np.diff(added, axis=0)) <= allowed + ROUNDING).all(), "the shift fades in jumps"
    assert (np.diff(np.abs(added), axis=0) <= ROUNDING).all(), "the shift does not fade"
    assert (np.abs(added[-1]) <= ROUNDING).all(), "the shift is still there in the last row"
    assert (np.abs(added) <= np.abs(shift) + ROUNDING).all(), "more than the shift was added"
    encoded = encode(written.joints[first:], ran.joints)
    assert written.unified[first:].tobytes() == encoded.tobytes(), "the unified rows say something else than the joints"
