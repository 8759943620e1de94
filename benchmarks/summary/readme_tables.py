"""Tables of the project's pages, from stored documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.async_control.latency import DelayKind
from unichunk.benchmarks.async_control.report import success_table
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio
from unichunk.benchmarks.summary.engine_tables import (
    engines_deviations,
    engines_ratios,
    engines_times,
    quantizers_products,
)
from unichunk.benchmarks.summary.evaluated_blinding import evaluation_answers, evaluation_leaks, evaluation_orders
from unichunk.benchmarks.summary.evaluated_records import evaluation_crashes, evaluation_records, evaluation_tampering
from unichunk.benchmarks.summary.evaluated_tests import (
    evaluation_coverage,
    evaluation_drift,
    evaluation_levels,
    evaluation_others,
    evaluation_peeking,
    evaluation_power,
    evaluation_tests,
)
from unichunk.benchmarks.summary.served_tables import network_runs, serve_felt, serve_ratios, serve_round_trips
from unichunk.benchmarks.summary.where_and_when import where_and_when

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Document = dict[str, Any]

MAIN_DELAY: Final = 4
"""d of the main table: the one that the literature reports."""

MAIN_RATES: Final = (500, 1000)
"""Rates of the main table of the control loops, [Hz]."""


ABLATION: Final = ((False, False), (True, False), (False, True), (True, True))
"""UAC and MPG of the four methods, in the order of the table."""


def async_main(document: Document) -> str:
    """Success of every method on every task at one delay; columns are tasks and chunk lengths."""
    rows = [r for r in document["rows"] if (r["delay"], r["delay_kind"]) == (MAIN_DELAY, DelayKind.FIXED.value)]
    columns = list(dict.fromkeys((row["task"], row["chunk"]) for row in rows))
    cells = {(row["method"], row["task"], row["chunk"]): row["success"] for row in rows}
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        found = [cells.get((method, *column)) for column in columns]
        known = [value for value in found if value is not None]
        # A mean over fewer cells, perhaps the easier ones, would stand beside those over all.
        mean = f"**{sum(known) / len(known):.2f}**" if len(known) == len(found) else "-"
        lines.append([f"`{method}`", *map(_share, found), mean])
    headers = [f"d = {MAIN_DELAY}", *(f"{task}, T = {chunk}" for task, chunk in columns), "mean"]
    return f"{markdown_table(headers, lines)}\n\n({rows[0]['episodes']} episodes a cell; {where_and_when(document)})"


def async_all(document: Document) -> str:
    """Success of every method under every delay, one table for each task and chunk length."""
    parts = []
    for task, chunk in dict.fromkeys((row["task"], row["chunk"]) for row in document["rows"]):
        own = [row for row in document["rows"] if (row["task"], row["chunk"]) == (task, chunk)]
        parts.append(f"**{task}, T = {chunk}**\n\n{success_table(own)}")
    return "\n\n".join(parts)


def async_policies(document: Document) -> str:
    """How each policy was trained."""
    names = {
        "task": "task",
        "chunk": "T",
        "variant": "trained",
        "steps": "steps",
        "exploration": "noise in demonstrations",
        "prefix_noise": "noise on the prefix",
        "demonstrations_kept": "demonstrations",
        "demonstrations_success": "their success",
        "loss": "loss",
    }
    return markdown_table(list(names.values()), [[p[name] for name in names] for p in document["policies"]])


def jitter_main(document: Document) -> str:
    """The p99 of the interval error and the achieved rate of every loop beside every load."""
    rows = [row for row in document["rows"] if row["rate_hz"] in MAIN_RATES]
    cells = {(row["loop"], row["rate_hz"], row["load"]): row for row in rows}
    loads = list(dict.fromkeys(row["load"] for row in rows))
    keys = [(rate, load) for rate in sorted({row["rate_hz"] for row in rows}) for load in loads]
    lines = [
        [f"`{loop}`", *(_pace(cells.get((loop, *key))) for key in keys)]
        for loop in dict.fromkeys(row["loop"] for row in rows)
    ]
    headers = ["p99 [us], achieved [Hz]", *(f"{rate} Hz, {load}" for rate, load in keys)]
    return f"{markdown_table(headers, lines)}\n\n({where_and_when(document)})"


def ablation_main(document: Document) -> str:
    """Success, error and kinks at the seams by category of task: neither, UAC, MPG, both."""
    cells = {(row["category"], row["latency_ms"], row["uac"], row["mpg"]): row for row in document["pooled"]}
    lines = []
    for category, latency in dict.fromkeys(key[:2] for key in cells):
        four = [cells[category, latency, uac, mpg] for uac, mpg in ABLATION]
        lines.append(
            [
                category,
                f"{latency:.0f} ms",
                " / ".join(f"{row['success'] * row['episodes']:.0f}" for row in four) + f" of {four[0]['episodes']}",
                " / ".join(f"{row['error_mm']:.1f}" for row in four),
                " / ".join(f"{1e3 * row['seam_kink_rad']:.0f}" for row in four),
                " / ".join(f"{row['roughness_rad_s2']:.1f}" for row in four),
            ]
        )
    headers = ["category", "latency", "successes", "error [mm]", "kink at seams [mrad]", "roughness [rad/s^2]"]
    note = f"(neither / UAC / MPG / both; {where_and_when(document)})"
    return f"{markdown_table(headers, lines)}\n\n{note}"


def jitter_ratios(document: Document) -> str:
    """Ratios with their intervals."""
    rows = [[label, str(Ratio(**ratio))] for label, ratio in document["ratios"].items()]
    return markdown_table(["ratio", "median (95 %)"], rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _pace(row: Mapping[str, Any] | None) -> str:
    if row is None or not is_measured(row["p99_us"]):
        return "-"
    return f"{row['p99_us']:.0f}, {row['achieved_hz']:.1f}"


BLOCKS: Final[dict[str, Sequence[Callable[[Document], str]]]] = {
    "ablation": (ablation_main,),
    "async": (async_main, async_all, async_policies),
    "engines": (engines_times, engines_deviations, engines_ratios),
    "evaluation": (
        evaluation_leaks,
        evaluation_answers,
        evaluation_tests,
        evaluation_levels,
        evaluation_drift,
        evaluation_peeking,
        evaluation_power,
        evaluation_coverage,
        evaluation_others,
        evaluation_orders,
        evaluation_records,
        evaluation_crashes,
        evaluation_tampering,
    ),
    "jitter": (jitter_main, jitter_ratios),
    "network": (network_runs,),
    "quantizers": (quantizers_products,),
    "serve": (serve_round_trips, serve_felt, serve_ratios),
}
"""Benchmark -> what is made of its document; a block's name is that of its function."""
