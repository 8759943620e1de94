"""Krippendorff's alpha for nominal judgements, any number of raters, any missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


def krippendorff(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Alpha = 1 - observed disagreement / expected disagreement (Krippendorff 2011, nominal metric).

    Args:
        units: For each thing that is judged, its judgements; those of fewer than two judgements do not count.

    Returns:
        1 for full agreement, 0 as by chance; None where all judgements are the same, or there are none.
    """
    totals: Counter[Hashable] = Counter()
    observed = 0.0
    for unit in units:
        if len(unit) < 2:
            continue
        values = Counter(unit)
        totals.update(values)
        observed += sum(n * (len(unit) - n) for n in values.values()) / (len(unit) - 1)
    n = sum(totals.values())
    expected = sum(count * (n - count) for count in totals.values())
    return None if expected == 0 else 1.0 - (n - 1) * observed / expected
