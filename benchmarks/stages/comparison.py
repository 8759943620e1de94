"""Documents of several machines side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.benchmarks.harness.figures import FiguresUnavailable, grouped_bars
from unichunk.benchmarks.harness.html_page import Figure, Heading, Table, Text, html_page
from unichunk.benchmarks.stages import stage
from unichunk.benchmarks.stages.latency_page import page_parts
from unichunk.benchmarks.stages.texts import Part
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME: Final = "latency"
REMEDY: Final = "give files that `unichunk bench latency --json` wrote"


class _Row(msgspec.Struct):
    """What is compared of a row."""

    case: str
    stage: str
    p50: float | dict[str, str]
    p99: float | dict[str, str]


class _Document(msgspec.Struct):
    """What is compared of a document."""

    benchmark: str
    quick: bool
    date: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    rows: list[_Row]


def read_documents(paths: Sequence[Path]) -> dict[str, _Document]:
    """Read documents; each goes by its file's name, with a number where two have the same.

    Raises:
        UnichunkError: A file that cannot be read, is damaged, or of another benchmark.
    """
    found: dict[str, _Document] = {}
    for path in paths:
        name = path.stem if path.stem not in found else f"{path.stem} ({len(found) + 1})"
        found[name] = _read(path)
    return found


def comparison_parts(documents: Mapping[str, _Document]) -> list[Part]:
    """What ran where, and every stage of every case: median and 99th percentile of each machine."""
    names = list(documents)
    about = ("policy", "robot", "source", "engine", "threads")
    rows: list[list[Any]] = [
        [key, *(str(documents[name].machine.get(key, "-")) for name in names)]
        for key in ("board", "processor", "cores")
    ]
    rows += [[key, *(str(documents[name].settings.get(key, "-")) for name in names)] for key in about]
    rows += [["date", *(documents[name].date for name in names)]]
    notes = [f"{name}: short form, few repetitions" for name in names if documents[name].quick]
    notes += [
        f"{key} differs: what is compared is not the machine alone"
        for key in about
        if len({str(document.settings.get(key)) for document in documents.values()}) > 1
    ]
    numbers = {
        name: {(row.case, row.stage): (row.p50, row.p99) for row in document.rows}
        for name, document in documents.items()
    }
    keys = list(dict.fromkeys(key for of_machine in numbers.values() for key in of_machine))
    table = [
        [f"{case}, {of}", *(value for name in names for value in numbers[name].get((case, of), (None, None)))]
        for case, of in keys
    ]
    headers = ["stage", *(f"{name} {quantile}" for name in names for quantile in ("p50", "p99"))]
    return [Part("Machines", ["", *names], rows, notes), Part("Stages, ms", headers, table)]


def comparison_page(documents: Mapping[str, _Document]) -> str:
    """The same as a page, with a picture of the whole chunk."""
    parts: list[Heading | Text | Table | Figure] = []
    first, *others = comparison_parts(documents)
    parts += page_parts(first)
    whole = {
        name: {row.case: row.p50 for row in document.rows if row.stage == stage.CHUNK and isinstance(row.p50, float)}
        for name, document in documents.items()
    }
    cases = list(dict.fromkeys(case for of in whole.values() for case in of))
    shared = [case for case in cases if all(case in of for of in whole.values())]
    if shared:
        try:
            heights = {name: [of[case] for case in shared] for name, of in whole.items()}
            bars = grouped_bars(heights, shared, y=f"{stage.CHUNK}, median [ms]")
            parts.append(Figure(bars, "Cases that all machines measured."))
        except FiguresUnavailable as error:
            parts.append(Text(f"No picture: {error}", warning=True))
    for part in others:
        parts += page_parts(part)
    return html_page("Latency on several machines", parts)


def _read(path: Path) -> _Document:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnichunkError(f"--compare: {path} cannot be read ({error.strerror}); {REMEDY}") from None
    try:
        kind = msgspec.json.decode(content, type=dict[str, Any]).get("benchmark")
        if kind != NAME:
            raise UnichunkError(f"--compare: {path} is of benchmark {kind!r}, expected {NAME!r}; {REMEDY}")
        return msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UnichunkError(f"--compare: {path} is damaged ({error}); {REMEDY}") from None
