"""The report on all benchmarks of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.harness.figures import FiguresUnavailable
from unichunk.benchmarks.harness.html_page import Figure, Heading, Table, Text, html_page
from unichunk.benchmarks.summary.drawings import drawings_of
from unichunk.benchmarks.summary.markdown_parts import markdown_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.benchmarks.summary.runner import Outcome


def report_page(summary: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """One HTML page: the machine, what changed, and what every benchmark printed, with plots."""
    form = "short form: enough to see a change, too little to quote" if summary["quick"] else "full form"
    parts: list[Heading | Text | Table | Figure] = [
        Text(f"{summary['date']}, {form}"),
        Table(["machine", ""], [[key, str(value)] for key, value in summary["machine"].items()]),
        Heading("What changed since the last stored run"),
        *(Text(line, warning=line.startswith("WORSE")) for line in summary["changes"]),
    ]
    for outcome in outcomes:
        parts.append(Heading(f"{outcome.name} ({outcome.seconds:.0f} s)"))
        if outcome.problem:
            parts.append(Text(f"not measured: {outcome.problem}", warning=True))
        parts += markdown_parts(outcome.said)
        parts += _figures(outcome)
    return html_page("unichunk benchmarks", parts)


def _figures(outcome: Outcome) -> list[Figure | Text]:
    if outcome.document is None or outcome.problem:
        return []
    try:
        return [Figure(svg, caption) for caption, svg in drawings_of(outcome.document).items()]
    except FiguresUnavailable as error:
        return [Text(str(error))]
