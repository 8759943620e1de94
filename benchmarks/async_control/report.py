"""The rows as tables, ratios and a plot."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.async_control.latency import DelayKind
from unichunk.benchmarks.harness.figures import line_plot
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import CONFIDENCE, Ratio
from unichunk.embodiments.sim.intervals import Z95

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMPARED: Final = (("uac", "naive"), ("uac", "rtc"), ("uac_rollforward", "uac"))
"""Whose success is compared with whose."""
COMPARED_AT: Final = 4
"""At which fixed d, the literature's; where it was not measured, at the largest."""
MOTION: Final = (
    ("successes_per_s", "successes/s"),
    ("seam_rms", "seam"),
    ("step_rms", "elsewhere"),
    ("bend_rms", "second difference"),
    ("violations", "violating chunks"),
    ("late", "late chunks"),
    ("underrun_ticks", "ticks without a row"),
)
"""Columns of the second table."""


def print_tables(result: Mapping[str, Any]) -> None:
    """One table of success and one of smoothness for every task and chunk length, and how policies were trained."""
    rows = result["rows"]
    for task, chunk in dict.fromkeys((row["task"], row["chunk"]) for row in rows):
        own = [row for row in rows if (row["task"], row["chunk"]) == (task, chunk)]
        half = max((row["high"] - row["low"]) / 2.0 for row in own)
        print(f"\n### {task}, chunk {chunk}: success of {own[0]['episodes']} episodes (95 % within ± {half:.3f})\n")
        print(success_table(own))
        longest = max(row["delay"] for row in own if row["delay_kind"] == own[0]["delay_kind"])
        print(f"\nThe same at {_column(own[0]['delay_kind'], longest)}; changes of forces are root mean squares\n")
        print(
            motion_table([row for row in own if row["delay"] == longest and row["delay_kind"] == own[0]["delay_kind"]])
        )
    print("\n### Policies\n")
    names = ("task", "chunk", "variant", "steps", "batch", "width", "loss", "seconds")
    more = ("exploration", "prefix_noise", "demonstrations_kept", "demonstrations_success")
    shown = [*names, *more]
    print(markdown_table(shown, ([policy[name] for name in shown] for policy in result["policies"])))
    for label, ratio in result["ratios"].items():
        print(f"\n{label}: {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})")


def success_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Methods by columns of delay, of one task and chunk length."""
    order = [kind.value for kind in DelayKind]
    columns = sorted({(order.index(row["delay_kind"]), row["delay"]) for row in rows})
    cells = {(row["method"], order.index(row["delay_kind"]), row["delay"]): row["success"] for row in rows}
    methods = dict.fromkeys(row["method"] for row in rows)
    lines = [
        [method, *(f"{cells[key]:.3f}" if (key := (method, *column)) in cells else None for column in columns)]
        for method in methods
    ]
    return markdown_table(["method", *(_column(order[kind], delay) for kind, delay in columns)], lines)


def motion_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Throughput, smoothness and what became of the chunks."""
    headers = ["method", *(label for _, label in MOTION)]
    return markdown_table(headers, ([row["method"], *(row[key] for key, _ in MOTION)] for row in rows))


def success_plot(rows: Iterable[Mapping[str, Any]], task: str, chunk: int) -> str:
    """Success over fixed delays, one line a method, with 95 % bands, as SVG."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    bands: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        if (row["task"], row["chunk"], row["delay_kind"]) == (task, chunk, DelayKind.FIXED.value):
            for given, keys in ((series, ("delay", "success")), (bands, ("low", "high"))):
                for values, key in zip(given.setdefault(row["method"], ([], [])), keys, strict=True):
                    values.append(row[key])
    return line_plot(series, x="delay d [ticks]", y="success", bands=bands, y_range=(0.0, 1.0))


def success_ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, Ratio]:
    """Success of one method over that of another at one fixed d of each task and chunk length."""
    fixed = [row for row in rows if row["delay_kind"] == DelayKind.FIXED.value]
    ratios = {}
    for task, chunk in dict.fromkeys((row["task"], row["chunk"]) for row in fixed):
        own = [row for row in fixed if (row["task"], row["chunk"]) == (task, chunk)]
        delays = {row["delay"] for row in own}
        delay = COMPARED_AT if COMPARED_AT in delays else max(delays)
        at = {row["method"]: row for row in own if row["delay"] == delay}
        for better, other in COMPARED:
            if better in at and other in at:
                label = f"{task}, chunk {chunk}, d = {delay}: success of {better} over {other}"
                ratios[label] = rate_ratio(at[better], at[other])
    return ratios


def rate_ratio(above: Mapping[str, Any], below: Mapping[str, Any]) -> Ratio:
    """Ratio of two success rates with the interval of its logarithm (Katz 1978), half a success added to each."""
    variance, rates = 0.0, []
    for row in (above, below):
        count = row["episodes"]
        succeeded = row["success"] * count + 0.5
        rates.append(succeeded / (count + 0.5))
        variance += 1.0 / succeeded - 1.0 / (count + 0.5)
    ratio, spread = rates[0] / rates[1], Z95 * sqrt(max(0.0, variance))
    low, high = exp(log(ratio) - spread), exp(log(ratio) + spread)
    return Ratio(ratio, low, high, CONFIDENCE, int(above["episodes"]), "higher")


def _column(kind: str, delay: int) -> str:
    if kind == DelayKind.SAMPLED.value:
        return "sampled"
    return f"d = {delay}" if kind == DelayKind.FIXED.value else f"late d = {delay}"
