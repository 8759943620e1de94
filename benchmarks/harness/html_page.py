"""A page of text, tables and figures in one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.markdown import cell_text

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #d5dae0; text-align: right; }
th:first-child, td:first-child { text-align: left; } th { background: #f3f5f7; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { color: #57606a; }
.warning { border-left: 4px solid #bf8700; background: #fff8e6; padding: .5rem 1rem; }
"""


@dataclass(frozen=True)
class Heading:
    """A heading of a section."""

    text: str

    def html(self) -> str:
        """As HTML."""
        return f"<h2>{escape(self.text)}</h2>"


@dataclass(frozen=True)
class Text:
    """A paragraph; a warning stands out."""

    text: str
    warning: bool = False

    def html(self) -> str:
        """As HTML."""
        kind = ' class="warning"' if self.warning else ""
        return f"<p{kind}>{escape(self.text)}</p>"


@dataclass(frozen=True)
class Table:
    """A table; the first column holds the rows' names."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def html(self) -> str:
        """As HTML."""
        head = "".join(f"<th>{escape(header)}</th>" for header in self.headers)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell_text(cell))}</td>" for cell in row) + "</tr>\n" for row in self.rows
        )
        return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        svg: What `harness.figures` drew.
        caption: What it shows.
    """

    svg: str
    caption: str

    def html(self) -> str:
        """As HTML."""
        return f"<figure>{self.svg}<figcaption>{escape(self.caption)}</figcaption></figure>"


def html_page(title: str, parts: Sequence[Heading | Text | Table | Figure]) -> str:
    """The page."""
    body = "\n".join(part.html() for part in parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
