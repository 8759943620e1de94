"""All cases, warmed up and visited in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.stages.rows import curves, drift, ratios, stage_rows
from unichunk.benchmarks.stages.visit import Visitor, counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unichunk.benchmarks.harness.ratio import Ratio
    from unichunk.benchmarks.stages.case import Case
    from unichunk.benchmarks.stages.driver_at_hand import DriverAtHand
    from unichunk.benchmarks.stages.subject import Place, Shelf
    from unichunk.benchmarks.stages.telemetry import Telemetry
    from unichunk.benchmarks.stages.visit import Visit
    from unichunk.benchmarks.stages.warm_up import WarmUp
    from unichunk.runtime.delay import DelayEstimator

LEAST_CHUNKS: Final = 10
"""Chunks of a case in all visits, whatever they take: fewer have no median."""


@dataclass(frozen=True)
class Amount:
    """How much is measured.

    Attributes:
        repeats: Chunks of each case in all visits, where there is time for them.
        visits: Visits to each case, in turn with the other cases.
        seconds: What the chunks of one case may take, [s]; a slower policy gets fewer chunks.
        warm_up_s: Longest warm-up of one case, [s].
    """

    repeats: int
    visits: int
    seconds: float
    warm_up_s: float

    def chunks(self, chunk_ms: float) -> int:
        """Chunks of a visit, for a policy that needs so long for one."""
        affordable = self.seconds / self.visits / (2 * chunk_ms / 1e3)
        least = math.ceil(LEAST_CHUNKS / self.visits)
        return max(least, min(math.ceil(self.repeats / self.visits), int(affordable)))


@dataclass(frozen=True)
class Measured:
    """What all cases gave.

    Attributes:
        cases: A row for each: warm-up, counts, throughput.
        rows: A row for each case and stage.
        curves: Percentiles of each case's whole chunk.
        ratios: Between cases, by label.
        missing: Real-time settings that the system did not permit, a line each.
    """

    cases: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    curves: dict[str, Any]
    ratios: Mapping[str, Ratio]
    missing: Sequence[str]


def measure(
    places: Sequence[Place],
    shelf: Shelf,
    drivers: DriverAtHand,
    amount: Amount,
    telemetry: Telemetry,
    say: Callable[[str], object],
) -> Measured:
    """Warm up and visit all cases.

    Args:
        places: The cases.
        shelf: Loads their policies.
        drivers: Starts their robots.
        amount: How much.
        telemetry: Told what was measured when.
        say: Told what is being done.

    Raises:
        UnichunkError: Where a policy, a driver or the link fails.
    """
    estimators: dict[str, DelayEstimator] = {}
    warm: dict[Case, WarmUp] = {}

    def warm_up(place: Place) -> WarmUp:
        say(f"warming up {place.case.label}")
        visitor = Visitor(shelf.subject(place))
        result = visitor.warm_up(drivers.at(place.spec_path), amount.warm_up_s)
        estimators[place.case.label] = visitor.estimator
        return result

    def visit(place: Place) -> Visit:
        visitor = Visitor(shelf.subject(place), estimators[place.case.label])
        result = visitor.visit(drivers.at(place.spec_path), amount.chunks(warm[place.case].last_ms))
        telemetry.span(place.case.label, result.begun_s, result.ended_s)
        return result

    for place in places:
        warm[place.case] = warm_up(place)
    say(f"{amount.visits} visits to each of {len(places)} cases, in turn")
    found = interleave({place.case.label: partial(visit, place) for place in places}, amount.visits, warm_up=0)
    visits = {place.case: found[place.case.label] for place in places}
    return Measured(
        cases=[_case_row(place, warm[place.case], visits[place.case]) for place in places],
        rows=stage_rows(visits),
        curves=curves(visits),
        ratios=ratios(visits),
        missing=sorted({line for of_case in visits.values() for each in of_case for line in each.missing}),
    )


def _case_row(place: Place, warm: WarmUp, visits: Sequence[Visit]) -> dict[str, Any]:
    rates = [visit.chunks_per_s for visit in visits]
    return {
        **place.case.row(),
        "cameras": {name: f"{camera.width} x {camera.height}" for name, camera in place.spec.cameras.items()},
        "warm_up": warm.row(),
        **counts(visits),
        "chunks_per_s": {"p50": median(rates), "min": min(rates), "max": max(rates), "visits": len(rates)},
        "last_visit_over_first": drift(visits),
    }
