"""The tables of a document of engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMES: Final = (
    "size",
    "precision",
    "K",
    "N",
    "engine",
    "prefix p50 [ms]",
    "x floor",
    "chunk p50 [ms]",
    "x floor",
    "both p99 [ms]",
    "deviation",
    "contract",
)

DEVIATIONS: Final = ("size", "precision", "K", "N", "largest deviation from float32", "how")


def tables(document: Mapping[str, Any]) -> str:
    """All of them, as Markdown."""
    parts = [markdown_table(TIMES, [time_row(row) for row in document["rows"]])]
    if document["ratios"]:
        parts.append(markdown_table(("both graphs", "median (95 %)"), list(_ratio_rows(document["ratios"]))))
    if document["deviations"]:
        parts.append(markdown_table(DEVIATIONS, [deviation_row(row) for row in document["deviations"]]))
    parts += [f"- {'; '.join(engines)}: {reason}" for reason, engines in document["refused"].items()]
    return "\n\n".join(parts)


def time_row(row: Mapping[str, Any]) -> Sequence[Any]:
    """One engine with one chunk graph."""
    kept, floor = row["agreement"], row["floor"]
    near = {graph: floor[graph]["times_floor"] if is_measured(floor) else None for graph in ("prefix", "chunk")}
    return (
        row["size"],
        row["precision"],
        row["steps"],
        row["rounds"],
        engine_label(row),
        row["prefix_ms"]["p50"],
        near["prefix"],
        row["chunk_ms"]["p50"],
        near["chunk"],
        row["both_ms"]["p99"],
        kept["deviation"],
        broken(kept) or "kept",
    )


def deviation_row(row: Mapping[str, Any]) -> Sequence[Any]:
    """One precision with one chunk graph."""
    return tuple(row[name] for name in ("size", "precision", "steps", "rounds", "deviation", "method"))


def engine_label(row: Mapping[str, Any]) -> str:
    """The engine, and whether its work is recorded."""
    if row["cuda_graphs"] is None:
        return str(row["engine"])
    return f"{row['engine']}, {'CUDA graphs' if row['cuda_graphs'] else 'no CUDA graphs'}"


def broken(kept: Mapping[str, Any]) -> str:
    """What of the contract does not hold; empty where all does."""
    return ", ".join(name for name in ("locked_rows", "same_again", "finite") if not kept[name])


def _ratio_rows(ratios: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (label, f"{ratio['median']:.3g} ({ratio['low']:.3g} to {ratio['high']:.3g})") for label, ratio in ratios.items()
    ]
