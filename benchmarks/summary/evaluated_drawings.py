"""Plots of the tests of blinded evaluation, from its stored document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.figures import grouped_bars, line_plot
from unichunk.benchmarks.summary.evaluated_tests import LEVEL, drifting_case, orders_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

_TESTS: Final = (
    "Cochran-Mantel-Haenszel, 4 policies",
    "Cochran-Mantel-Haenszel, any of 6 pairs (Holm)",
    "Barnard, first against last",
    "Fisher, first against last",
    "anytime-valid, any of 6 pairs at any time (Holm)",
)
_LOOKING: Final = "success 0.5, looking after every trial"


def evaluation_drawings(document: Row) -> dict[str, str]:
    """Type-I errors under drift, by the order of trials; and of those who look after every trial."""
    if "operating" not in document:
        return {}
    rows = document["operating"]
    return {
        "false alarms under drift: no difference, success drifts .8 to .3, 4 policies, 1 layout": _drift(rows),
        "false alarms when looking early: no difference, success .5, looking after every trial": _peeking(rows),
    }


def _drift(rows: list[Row]) -> str:
    cells = {(row["case"], row["test"]): row["value"] for row in rows if row["section"] == "drift"}
    orders = orders_of(rows, 1)
    bars = {test: [cells[drifting_case(1, order), test] for order in orders] for test in _TESTS}
    return grouped_bars(bars, orders, y="share of campaigns that reject", level=LEVEL)


def _peeking(rows: list[Row]) -> str:
    mine = sorted(
        (row for row in rows if (row["section"], row["case"]) == ("peeking", _LOOKING)), key=lambda row: row["per_arm"]
    )
    curves = {
        test: [(row["per_arm"], row["value"]) for row in mine if row["test"] == test]
        for test in dict.fromkeys(row["test"] for row in mine)
    }
    series = {test: ([n for n, _ in curve], [value for _, value in curve]) for test, curve in curves.items()}
    return line_plot(
        series, x="trials of each policy when looking ends", y="share of campaigns that reject", level=LEVEL
    )
