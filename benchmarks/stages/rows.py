"""From visits to the rows and ratios of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.harness.percentiles import percentiles
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.stages import stage
from unichunk.benchmarks.stages.derived import derived_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.benchmarks.stages.case import Case
    from unichunk.benchmarks.stages.visit import Visit

HOST_MEMORY: Final = (
    "does not apply on a processor, whose engine computes where the inputs lie; on a GPU it is part of the graphs"
)
NEVER_SENT: Final = "no chunk arrived in time for any of its rows"
CURVE: Final = (0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 100)
"""Percentiles of the picture of a distribution."""


def stage_rows(visits: Mapping[Case, Sequence[Visit]]) -> list[dict[str, Any]]:
    """A row for every stage of every case, and for what is derived from several; times in [ms]."""
    derived = derived_rows(visits)
    rows = []
    for case, of_case in visits.items():
        for name in stage.MEANING:
            rows.append({**case.row(), "stage": name, "unit": "ms", **_numbers(name, of_case)})
            if name == stage.DENOISE:
                rows += [row for row in derived if row["case"] == case.label]
    return rows


def curves(visits: Mapping[Case, Sequence[Visit]]) -> dict[str, Any]:
    """Percentiles of each case's whole chunk, [ms]."""
    whole = {case.label: _all_times(stage.CHUNK, of_case) for case, of_case in visits.items()}
    return {
        "stage": stage.CHUNK,
        "percent": list(CURVE),
        "ms": {label: [float(value) for value in np.percentile(times, CURVE)] for label, times in whole.items()},
    }


def ratios(visits: Mapping[Case, Sequence[Visit]]) -> dict[str, Ratio]:
    """Whole chunks of a case against those of the smallest case that differs in one number alone, visit by visit."""
    found = {}
    for case in visits:
        for name, symbol in (("views", "V"), ("steps", "K"), ("rounds", "N")):
            family = [
                other
                for other in visits
                if all(getattr(other, key) == getattr(case, key) for key in ("views", "steps", "rounds") if key != name)
            ]
            least = min(family, key=lambda other: int(getattr(other, name)))
            if least == case:
                continue
            kept = [part for part in case.label.split() if not part.startswith(symbol)]
            label = f"{stage.CHUNK}, {symbol}={getattr(case, name)} / {symbol}={getattr(least, name)}, {' '.join(kept)}"
            ours, theirs = ([visit.p50(stage.CHUNK) for visit in visits[each]] for each in (case, least))
            found[label] = paired_ratio(ours, theirs, better="lower")
    return found


def drift(visits: Sequence[Visit]) -> float:
    """Whole chunk of the last visit over that of the first: whether it stayed as warm as it was."""
    return visits[-1].p50(stage.CHUNK) / visits[0].p50(stage.CHUNK)


def _numbers(name: str, visits: Sequence[Visit]) -> dict[str, Any]:
    if name == stage.HOST_TO_DEVICE:
        return _void(HOST_MEMORY)
    times = _all_times(name, visits)
    return percentiles(times) if times else _void(NEVER_SENT)


def _void(why: str) -> dict[str, Any]:
    return {"n": 0, **dict.fromkeys(("p50", "p95", "p99", "p999", "max"), not_measured(why))}


def _all_times(name: str, visits: Sequence[Visit]) -> list[float]:
    return [time for visit in visits for time in visit.times.get(name, ())]
