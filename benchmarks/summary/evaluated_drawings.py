"""Plots of the tests of blinded evaluation, from its stored document."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.figures import grouped_bars, line_plot
from unichunk.benchmarks.summary.evaluated_tests import LEVEL, drifting_case, orders_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

_TESTS: Final = {
    "CMH, 4 policies": "Cochran-Mantel-Haenszel, 4 policies",
    "CMH, any pair (Holm)": "Cochran-Mantel-Haenszel, any of 6 pairs (Holm)",
    "Barnard, one pair": "Barnard, first against last",
    "Fisher, one pair": "Fisher, first against last",
    "anytime-valid, any pair": "anytime-valid, any of 6 pairs at any time (Holm)",
}
"""What the legend calls a test, and what the document does."""

_WIDTH: Final = 13
"""Of the names of orders, characters."""

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
    bars = {label: [cells[drifting_case(1, order), test] for order in orders] for label, test in _TESTS.items()}
    names = [textwrap.fill(order, _WIDTH) for order in orders]
    return grouped_bars(bars, names, y="share of campaigns that reject", level=LEVEL)


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
