"""The report of a measurement of latency as a page with pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.figures import FiguresUnavailable, line_plot, stacked_bars
from unichunk.benchmarks.harness.html_page import Figure, Heading, Table, Text, html_page
from unichunk.benchmarks.stages import stage
from unichunk.benchmarks.stages.texts import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.benchmarks.stages.texts import Part


def latency_page(document: Mapping[str, Any]) -> str:
    """The page; without pictures, and it says so, where matplotlib is missing."""
    machine = document["machine"]
    settings = document["settings"]
    parts: list[Heading | Text | Table | Figure] = [
        Text(
            f"{settings['policy']} on {settings['robot']}, {settings['engine']} (threads: {settings['threads']}), "
            f"{machine['processor']}, {machine['cores']} cores, {document['date']}. Cameras: {settings['source']}."
        )
    ]
    if document["quick"]:
        parts.append(Text("Short form: few repetitions, to see that it works.", warning=True))
    parts += _pictures(document)
    for part in parts_of(document):
        parts += page_parts(part)
    return html_page("Latency, stage by stage", parts)


def page_parts(part: Part) -> list[Heading | Text | Table | Figure]:
    """A part of the report for the page."""
    table = [Table(part.headers, part.rows)] if part.rows else []
    return [Heading(part.title), *table, *(Text(note) for note in part.notes)]


def _pictures(document: Mapping[str, Any]) -> list[Heading | Text | Table | Figure]:
    names = [case["case"] for case in document["cases"]]
    curves = document["curves"]
    try:
        bars = stacked_bars(stage_lengths(document), names, unit="median [ms]")
        series = {label: (curves["percent"], curves["ms"][label]) for label in names}
        plot = line_plot(series, x="percentile [%]", y=f"{curves['stage']} [ms]", log_y=True)
    except FiguresUnavailable as error:
        return [Text(f"No pictures: {error}", warning=True)]
    return [
        Heading("From the camera to the first command"),
        Figure(bars, "Medians of the stages, one after the other; what was not measured is missing."),
        Heading(f"Distribution of the {curves['stage']}"),
        Figure(plot, "How long a chunk takes at most, by the share of all chunks; the last point is the slowest one."),
    ]


def stage_lengths(document: Mapping[str, Any]) -> dict[str, list[float]]:
    """Stage -> its median in each case, [ms]; 0 where there is none."""
    medians = {(row["case"], row["stage"]): row["p50"] for row in document["rows"]}
    found = {name: [medians.get((case["case"], name), 0.0) for case in document["cases"]] for name in stage.PARTS}
    return {name: [value if is_measured(value) else 0.0 for value in values] for name, values in found.items()}
