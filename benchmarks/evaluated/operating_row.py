"""One number of the operating characteristics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OperatingRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often a test rejects, or an interval covers.

    Attributes:
        section: What is looked at: `no effect`, `drift`, `peeking`, `power`, `coverage`.
        case: Rates, layouts, randomization, in words.
        test: Which test or interval.
        per_arm: Trials of each policy.
        nominal: Largest permitted chance of a false rejection, or least permitted coverage; None for power.
        value: Share of campaigns in which it rejects, or covers.
        standard_error: Monte Carlo standard error; 0 where the value was computed by enumeration.
        peers: The same number as published or simulated by others; None where there is none.
        remark: What to mind; often empty.
    """

    section: str
    case: str
    test: str
    per_arm: int
    nominal: float | None
    value: float
    standard_error: float
    peers: float | None = None
    remark: str = ""


def exact_row(
    section: str, case: str, test: str, per_arm: int, nominal: float | None, value: float, *, remark: str = ""
) -> OperatingRow:
    """A row that was computed by enumeration."""
    return OperatingRow(
        section=section,
        case=case,
        test=test,
        per_arm=per_arm,
        nominal=nominal,
        value=value,
        standard_error=0.0,
        remark=remark,
    )


def simulated_row(
    section: str,
    case: str,
    test: str,
    per_arm: int,
    nominal: float | None,
    happened: NDArray[np.bool_],
    *,
    peers: float | None = None,
    remark: str = "",
) -> OperatingRow:
    """A row from simulated campaigns.

    Args:
        section: As in the row.
        case: As in the row.
        test: As in the row.
        per_arm: As in the row.
        nominal: As in the row.
        happened: For each campaign, whether it rejected or covered, shape (S,).
        peers: As in the row.
        remark: As in the row.
    """
    value = float(np.mean(happened))
    # Of no or all campaigns the plain formula would say 0: one more of each kind keeps it honest.
    share = (happened.sum() + 1.0) / (happened.size + 2.0)
    return OperatingRow(
        section=section,
        case=case,
        test=test,
        per_arm=per_arm,
        nominal=nominal,
        value=value,
        standard_error=math.sqrt(share * (1.0 - share) / happened.size),
        peers=peers,
        remark=remark,
    )
