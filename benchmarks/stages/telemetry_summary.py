"""What a machine told while something was measured, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.harness.document import is_measured, not_measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.benchmarks.stages.reading import Kind, Reading


@dataclass(frozen=True)
class Sample:
    """A number at a time.

    Attributes:
        at_s: When it was read, [s], monotonic.
        source: Who told it.
        reading: The number.
    """

    at_s: float
    source: str
    reading: Reading


def telemetry_summary(
    samples: Sequence[Sample],
    silent: Mapping[str, str],
    spans: Mapping[str, Sequence[tuple[float, float]]],
    period_s: float,
) -> dict[str, Any]:
    """What was told, as plain values.

    Args:
        samples: In the order of time.
        silent: Source -> why it told nothing.
        spans: What was measured -> from when to when, [s].
        period_s: How often sources were asked, [s]. A sample that comes earlier than this after a span's begin tells of
            what was before it, too: power is that since the sample before.

    Returns:
        `power_w`, `clock_mhz`, `temperature_c`: by source and name, first and last value, smallest, median and largest;
        `power_by_case_w`: mean power of each, by what was measured meanwhile, where that took longer than a period;
        `throttling`: whether any was seen;
        `not_told`: sources that told nothing, and why. What no source told says so.
    """
    result: dict[str, Any] = {}
    kinds: tuple[Kind, ...] = ("power_w", "clock_mhz", "temperature_c")
    for kind in kinds:
        series = _series(samples, kind)
        result[kind] = {name: _in_short(values) for name, values in series.items()} or not_measured("not told")
    during = {
        name: _means([s for s in samples if any(begun + period_s <= s.at_s <= end for begun, end in times)])
        for name, times in spans.items()
    }
    short = not_measured(f"never as long as it takes to tell, {period_s:g} s")
    told = is_measured(result["power_w"])
    result["power_by_case_w"] = (
        {name: means or short for name, means in during.items()} if told else not_measured("not told")
    )
    result["throttling"] = _throttling(samples)
    result["not_told"] = dict(silent)
    return result


def _series(samples: Sequence[Sample], kind: Kind) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {}
    for sample in samples:
        if sample.reading.kind == kind:
            series.setdefault(f"{sample.source}: {sample.reading.name}", []).append(sample.reading.value)
    return series


def _in_short(values: Sequence[float]) -> dict[str, float]:
    return {
        "begin": values[0],
        "end": values[-1],
        "min": min(values),
        "p50": median(values),
        "max": max(values),
        "n": len(values),
    }


def _means(samples: Sequence[Sample]) -> dict[str, float]:
    return {name: fmean(values) for name, values in _series(samples, "power_w").items()}


def _throttling(samples: Sequence[Sample]) -> dict[str, Any]:
    """Whether anything was slowed down, by whom, and how often; a counter counts from the first look on."""
    flags, counters = _series(samples, "throttled"), _series(samples, "throttle_events")
    if not flags and not counters:
        return not_measured("not told")
    by = {name: f"in {round(sum(values))} of {len(values)} looks" for name, values in flags.items() if any(values)}
    for name, values in counters.items():
        if values[-1] > values[0]:
            by[name] = f"{round(values[-1] - values[0])} times"
    return {"seen": bool(by), "by": by}
