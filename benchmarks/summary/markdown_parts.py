"""Markdown that benchmarks print, as parts of a page."""

from __future__ import annotations

from unichunk.benchmarks.harness.html_page import Heading, Table, Text


def markdown_parts(said: str) -> list[Heading | Text | Table]:
    """Tables, headings and paragraphs of a benchmark's output, in their order."""
    parts: list[Heading | Text | Table] = []
    lines = said.splitlines()
    while lines:
        if lines[0].startswith("|"):
            table = [_cells(line) for line in _take(lines, table=True)]
            parts.append(Table(table[0], table[2:]))
        elif lines[0].startswith("#"):
            parts.append(Heading(lines.pop(0).lstrip("# ")))
        elif lines[0].strip():
            parts.append(Text(" ".join(_take(lines, table=False))))
        else:
            lines.pop(0)
    return parts


def _take(lines: list[str], *, table: bool) -> list[str]:
    """Take the lines at the front that belong together."""
    taken = []
    while lines and lines[0].strip() and lines[0].startswith("|") == table and not lines[0].startswith("#"):
        taken.append(lines.pop(0))
    return taken


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
