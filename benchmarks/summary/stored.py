"""Where results lie: one file for each benchmark's document, one for the last short run of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from unichunk.benchmarks.harness.document import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUMMARY: Final = "summary.json"


class ResultUnreadable(ValueError):
    """A stored result is damaged or not one of ours."""


def read_document(path: Path) -> dict[str, Any]:
    """A stored document.

    Raises:
        ResultUnreadable: One line: missing, damaged, or not a document of a benchmark.
    """
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ResultUnreadable(f"{path}: {error.strerror}; run the benchmark with --json {path}") from None
    except msgspec.MsgspecError as error:
        raise ResultUnreadable(f"{path}: not a benchmark's document ({error}); delete it and measure again") from None
    if not isinstance(document.get("benchmark"), str):
        raise ResultUnreadable(f"{path}: not a benchmark's document: it has no name of a benchmark; measure again")
    return document


def last_ratios(folder: Path, *, quick: bool) -> dict[str, Mapping[str, Any]]:
    """Ratios of the last stored run of all, by benchmark; empty where there is none of the same form.

    Args:
        folder: Where it lies.
        quick: Which form is asked for: repetitions are fewer in the short one, and other cases are measured.

    Raises:
        ResultUnreadable: Where there is one that cannot be read.
    """
    path = folder / SUMMARY
    if not path.exists():
        return {}
    stored = read_document(path)
    try:
        summary = msgspec.convert(stored, _Summary)
    except msgspec.ValidationError as error:
        raise ResultUnreadable(f"{path}: not the summary of a run ({error}); delete it and measure again") from None
    return {name: stored["benchmarks"][name]["ratios"] for name in summary.benchmarks} if summary.quick == quick else {}


class _Row(msgspec.Struct):
    """What a ratio must have to be compared."""

    median: Annotated[float, msgspec.Meta(gt=0)]
    low: float
    high: float
    confidence: float
    pairs: int
    better: Literal["lower", "higher"]


class _Entry(msgspec.Struct):
    """What became of one benchmark."""

    ratios: dict[str, _Row]


class _Summary(msgspec.Struct):
    """What the summary of a run must have to be compared."""

    quick: bool
    benchmarks: dict[str, _Entry]


def write_document(folder: Path, name: str, document: Mapping[str, Any]) -> None:
    """Keep a document as `folder`/`name`, whole or not at all."""
    write_whole(folder / name, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
