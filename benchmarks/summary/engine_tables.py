"""Tables of engines for the project's pages, from stored documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.engine_runs.report import engine_label
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio
from unichunk.benchmarks.summary.where_and_when import where_and_when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def engines_times(document: Mapping[str, Any]) -> str:
    """Medians of both graphs on every engine, in brackets how many times the floor."""
    rows = document["rows"]
    cases = _cases(rows)
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        cells = table.setdefault((row["size"], row["precision"], engine_label(row)), {})
        cells.setdefault("prefix", _median(row, "prefix"))
        cells[_case(row)] = _median(row, "chunk")
    headers = ["size", "precision", "engine", "prefix [ms]", *(f"chunk, {case}" for case in cases)]
    lines = [[*names, *(cells.get(name, "-") for name in ("prefix", *cases))] for names, cells in table.items()]
    return f"{markdown_table(headers, lines)}\n\n({where_and_when(document)})"


def engines_deviations(document: Mapping[str, Any]) -> str:
    """What each precision does to chunks."""
    rows = document["deviations"]
    cases = _cases(rows)
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        table.setdefault((row["size"], row["precision"], row["method"]), {})[_case(row)] = f"{row['deviation']:.2g}"
    headers = ["size", "precision", "how", *cases]
    return markdown_table(
        headers, [[*names, *(cells.get(case, "-") for case in cases)] for names, cells in table.items()]
    )


def engines_ratios(document: Mapping[str, Any]) -> str:
    """Times of both graphs in parts of another engine's in the same rounds."""
    return markdown_table(
        ["both graphs", "median (95 %)"], [[label, str(Ratio(**value))] for label, value in document["ratios"].items()]
    )


def _cases(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(_case(row) for row in rows))


def _case(row: Mapping[str, Any]) -> str:
    return f"K = {row['steps']}, N = {row['rounds']}"


def _median(row: Mapping[str, Any], graph: str) -> str:
    p50 = row[f"{graph}_ms"]["p50"]
    if not is_measured(p50):
        return "-"
    times = f" ({row['floor'][graph]['times_floor']:.1f})" if is_measured(row["floor"]) else ""
    return f"{p50:.3g}{times}"


def quantizers_products(document: Mapping[str, Any]) -> str:
    """One product by each quantizer: time, as a multiple of float32's, and error."""
    lines = [
        [
            row["size"],
            row["rows"],
            row["product"],
            f"{row['median_ms']:.2f}",
            row["of_fp32"],
            f"{100 * row['error']:.1f} %",
        ]
        for row in document["rows"]
    ]
    table = markdown_table(["outputs x inputs", "rows", "product", "time [ms]", "of fp32", "error"], lines)
    return f"{table}\n\n({where_and_when(document)})"
