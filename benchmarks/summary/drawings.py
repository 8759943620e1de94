"""Plots of stored documents, by benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DRAWINGS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, str]]]] = {}
"""Benchmark -> what draws its document: caption -> SVG."""


def drawings_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Plots of a document, as SVG by caption; none for a benchmark that has no plot.

    Raises:
        FiguresUnavailable: Where matplotlib is missing.
    """
    draw = DRAWINGS.get(document["benchmark"])
    return {} if draw is None else draw(document)
