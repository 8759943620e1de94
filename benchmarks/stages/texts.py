"""The parts of the report as tables, for Markdown and for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.ratio import Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMES: Final = ("p50", "p95", "p99", "max")

START: Final = {
    "import_s": "import [s]",
    "load_s": "load [s]",
    "first_inference_ms": "first inference [ms]",
    "next_inferences_ms": "next ones [ms]",
    "rss_before_load_mb": "RSS before load [MB]",
    "rss_loaded_mb": "loaded [MB]",
    "rss_after_first_mb": "after the first [MB]",
    "peak_rss_mb": "peak [MB]",
}
"""What fresh processes tell, as the table shows it."""


@dataclass(frozen=True)
class Part:
    """A heading, its table and what is to be said of it.

    Attributes:
        title: The heading.
        headers: Of the table.
        rows: Of the table; none where there is only text.
        notes: Lines below it.
    """

    title: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    notes: Sequence[str] = ()


def parts_of(document: Mapping[str, Any]) -> list[Part]:
    """Everything that is told in tables, in the order in which it is read."""
    return [
        *_stage_parts(document),
        _ratio_part(document),
        _throughput_part(document),
        _start_part(document),
        _telemetry_part(document),
        _setting_part(document),
    ]


def _stage_parts(document: Mapping[str, Any]) -> list[Part]:
    parts = []
    for case in document["cases"]:
        rows = [row for row in document["rows"] if row["case"] == case["case"]]
        notes = [
            f"{row['stage']}: derived, median of the differences between {row['derived_from'][0]} and "
            f"{row['derived_from'][1]}, {row['low']:.3g} to {row['high']:.3g} ms"
            for row in rows
            if "derived_from" in row
        ]
        notes += [f"{row['stage']}: {row['p50']['not_measured']}" for row in rows if not is_measured(row["p50"])]
        table = [[_stage_name(row), row["n"], *(row[name] for name in TIMES)] for row in rows]
        parts.append(Part(f"{case['case']}, ms", ("stage", "n", *TIMES), table, notes))
    refused = [f"{label}: not measured: {why}" for label, why in document["not_measured"].items()]
    return [*parts, Part("Not measured", notes=refused)] if refused else parts


def _stage_name(row: Mapping[str, Any]) -> str:
    return f"- {row['stage']} (derived)" if "derived_from" in row else str(row["stage"])


def _ratio_part(document: Mapping[str, Any]) -> Part:
    rows = [[label, str(Ratio(**ratio))] for label, ratio in document["ratios"].items()]
    return Part("Ratios, median of the visits' pairs with its 95 % interval", ("ratio", "times as long"), rows)


def _throughput_part(document: Mapping[str, Any]) -> Part:
    headers = ("case", "chunks/s back to back", "chunks", "late", "lost", "overtaken", "warm-up", "last visit / first")
    rows = []
    for case in document["cases"]:
        rate, warm = case["chunks_per_s"], case["warm_up"]
        steady = "steady" if warm["steady"] else "not steady"
        said = f"{steady} after {warm['inferences']} inferences, {warm['seconds']:.1f} s"
        rows.append(
            [
                case["case"],
                f"{rate['p50']:.3g} ({rate['min']:.3g} to {rate['max']:.3g})",
                *(case[name] for name in ("chunks", "late", "lost", "overtaken")),
                said,
                case["last_visit_over_first"],
            ]
        )
    judged = document["cases"][0]["warm_up"]["judged"] if document["cases"] else ""
    return Part("Throughput and steadiness", headers, rows, [f"steady: {judged}"])


def _start_part(document: Mapping[str, Any]) -> Part:
    headers = ["case", *START.values()]
    rows, notes = [], []
    for label, start in document["fresh_starts"].items():
        if is_measured(start):
            rows.append([label, *(start[name]["p50"] for name in START)])
        else:
            notes.append(f"{label}: not measured: {start['not_measured']}")
    counts = {start["processes"] for start in document["fresh_starts"].values() if is_measured(start)}
    notes += [f"medians of {count} fresh processes; files may have been in the system's cache" for count in counts]
    return Part("Load, first inference, memory", headers, rows, notes)


def _telemetry_part(document: Mapping[str, Any]) -> Part:
    told = document["telemetry"]
    rows = []
    for kind, unit in (("power_w", "W"), ("clock_mhz", "MHz"), ("temperature_c", "deg C")):
        if is_measured(told[kind]):
            columns = ("begin", "end", "min", "p50", "max")
            rows += [[f"{name} [{unit}]", *(numbers[key] for key in columns)] for name, numbers in told[kind].items()]
        else:
            rows.append([f"{kind.partition('_')[0]}: not told", *[""] * 5])
    notes = [f"throttling: {_throttling(told['throttling'])}"]
    if is_measured(told["power_by_case_w"]):
        for label, rails in told["power_by_case_w"].items():
            means = [f"{name} {watt:.2f} W" for name, watt in rails.items()] if is_measured(rails) else ["not measured"]
            notes.append(f"mean power during {label}: {', '.join(means)}")
    notes += [f"{source}: not told: {why}" for source, why in told["not_told"].items()]
    return Part("Power, clocks, temperatures", ("number", "begin", "end", "min", "p50", "max"), rows, notes)


def _throttling(told: Mapping[str, Any]) -> str:
    if not is_measured(told):
        return "not told"
    if not told["seen"]:
        return "none seen"
    return "seen: " + ", ".join(f"{name} {how}" for name, how in told["by"].items())


def _setting_part(document: Mapping[str, Any]) -> Part:
    rows = [[name, str(value)] for part in ("settings", "machine") for name, value in document[part].items()]
    notes = [f"{name}: {meaning}" for name, meaning in document["stages"].items()]
    return Part("Machine, settings, meaning of the stages", ("setting", "value"), rows, notes)
