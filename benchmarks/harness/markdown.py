"""Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; cells are shown with `cell_text`."""
    lines = [_line(headers), "|" + "---|" * len(headers)]
    lines += [_line([cell_text(cell) for cell in row]) for row in rows]
    return "\n".join(lines)


def cell_text(value: Any) -> str:
    """Numbers with three digits; "-" for what was not measured."""
    if value is None or isinstance(value, dict):
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
