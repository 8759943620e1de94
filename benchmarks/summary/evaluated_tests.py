"""Tables of the operating characteristics of blinded evaluation's tests, from its stored document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Row = Mapping[str, Any]

TRIALS: Final = (20, 50, 100)
"""Per policy: columns of the tables."""

LEVEL: Final = 0.05
BEYOND: Final = 2.0
"""Standard errors by which a simulated number has to miss its level to be marked."""

ROUNDING: Final = 0.0005
"""What a number has to miss its level by in any case: tables show no more digits."""

_ORDERS: Final = ("one policy after another", "independent draw", "layout grouped", "replicate blocks")
_ALL_POLICIES: Final = "Cochran-Mantel-Haenszel, 4 policies"
_REDRAWN: Final = "randomization test, 4 policies"
_LAYOUTS: Final = "5 layouts, success .1 to .9"
_LOOKS: Final = "success 0.5, looking after every trial"
_POWER: Final = "0.5 against 0.8, one layout"
_SHORT: Final[Sequence[tuple[str, str, str, str, str]]] = (
    ("Cochran-Mantel-Haenszel", "", ", first against last", "", ""),
    ("Barnard", ", pooled", ", first against last", "", ""),
    ("Fisher", ", pooled", ", first against last", "", ""),
    ("anytime-valid", ", at any time", ", first against last, at any time", "", ", at any time"),
    (_ALL_POLICIES, "", "", "", ""),
    (_REDRAWN, "", "", "", ""),
)
"""A test, and what its name ends with in each section: no effect, drift, peeking, power."""


def evaluation_tests(document: Row) -> str:
    """In short: how often each test is wrong, and what it finds."""
    rows = document["operating"]
    lines = []
    for test, *ends in _SHORT:
        level, drift, looks, power = (test + end for end in ends)
        cells = [_cell(rows, "no effect", _LAYOUTS, level, 100, _false)]
        cells += [_cell(rows, "drift", drifting_case(1, order), drift, 20, _false) for order in orders_of(rows, 1)]
        cells += [_cell(rows, "peeking", _LOOKS, looks, 100, _false)]
        cells += [_cell(rows, "power", _POWER, power, trials, _plain) for trials in TRIALS]
        lines.append([test, *cells])
    headers = ["", "no effect, N = 100", *(f"drift, N = 20: {order}" for order in orders_of(rows, 1))]
    headers += ["looking after every trial, N = 100", *(f"power, N = {trials}" for trials in TRIALS)]
    error = max(row["standard_error"] for row in rows)
    return (
        f"{markdown_table(headers, lines)}\n\n({_MARKED}; no standard error is above {error:.3f}; {document['date']})"
    )


def evaluation_levels(document: Row) -> str:
    """Type-I errors where policies make no difference."""
    return _by_trials(_section(document, "no effect"), _false)


def evaluation_drift(document: Row) -> str:
    """Type-I errors while success drifts, by the order of trials; a table for each number of layouts."""
    rows = _section(document, "drift")
    parts = []
    for layouts in (1, 5):
        orders = orders_of(rows, layouts)
        mine = [row for row in rows if row["case"] in {drifting_case(layouts, order) for order in orders}]
        lines = [
            [
                test,
                *(
                    _cell(mine, "drift", drifting_case(layouts, order), test, mine[0]["per_arm"], _false)
                    for order in orders
                ),
            ]
            for test in dict.fromkeys(row["test"] for row in mine)
        ]
        title = f"{layouts} layout{'s' if layouts > 1 else ''}, N = {mine[0]['per_arm']}"
        parts.append(markdown_table([title, *orders], lines))
    return "\n\n".join(parts)


def evaluation_peeking(document: Row) -> str:
    """Type-I errors of those who look again and again."""
    return _by_trials(_section(document, "peeking"), _false)


def evaluation_power(document: Row) -> str:
    """What each test finds."""
    return _by_trials(_section(document, "power"), _plain)


def evaluation_coverage(document: Row) -> str:
    """What intervals cover."""
    return _by_trials(_section(document, "coverage"), _missing)


def evaluation_others(document: Row) -> str:
    """Numbers that others have simulated too."""
    rows = [row for row in document["operating"] if row["peers"] is not None]
    lines = [[row["case"], row["test"], row["per_arm"], _plain(row), f"{row['peers']:g}"] for row in rows]
    return markdown_table(["", "test", "N", "here", "theirs"], lines)


_MARKED: Final = f"bold: above {LEVEL:g} by more than two standard errors"


def _by_trials(rows: Sequence[Row], text: Callable[[Row], str]) -> str:
    """A line for each case and test, a column for each number of trials."""
    cells = {((row["case"], row["test"]), row["per_arm"]): row for row in rows}
    lines = [
        [*what, *(text(cells[what, trials]) if (what, trials) in cells else "-" for trials in TRIALS)]
        for what in dict.fromkeys(what for what, _ in cells)
    ]
    return markdown_table(["", "test", *(f"N = {trials}" for trials in TRIALS)], lines)


def _section(document: Row, name: str) -> list[Row]:
    return [row for row in document["operating"] if row["section"] == name]


def _cell(rows: Iterable[Row], section: str, case: str, test: str, trials: int, text: Callable[[Row], str]) -> str:
    asked = (section, case, test, trials)
    found = [row for row in rows if (row["section"], row["case"], row["test"], row["per_arm"]) == asked]
    return text(found[0]) if found else "-"


def drifting_case(layouts: int, order: str) -> str:
    """How the document calls drift on so many layouts, with trials in this order."""
    return f"success drifts .8 to .3, 4 policies, {layouts} layout{'s' if layouts > 1 else ''}, {order}"


def orders_of(rows: Iterable[Row], layouts: int) -> list[str]:
    """Those that were simulated on so many layouts."""
    cases = {row["case"] for row in rows}
    return [order for order in _ORDERS if drifting_case(layouts, order) in cases]


def _plain(row: Row) -> str:
    """With its standard error where it was simulated."""
    error = f" ± {row['standard_error']:.3f}" if row["standard_error"] else ""
    return f"{row['value']:.3f}{error}"


def _false(row: Row) -> str:
    """A chance of a false rejection: marked where it is above the level."""
    text = _plain(row)
    return f"**{text}**" if row["value"] > LEVEL + ROUNDING + BEYOND * row["standard_error"] else text


def _missing(row: Row) -> str:
    """A coverage: marked where it is below what it should be."""
    text = _plain(row)
    least = row["nominal"] - ROUNDING - BEYOND * row["standard_error"]
    return f"**{text}**" if row["value"] < least else text
