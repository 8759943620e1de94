"""A table on a sheet: columns as wide as they need, and the font as small as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import LongTable, Paragraph

from unichunk.server.evaluation.report.blocks import Named, is_hash
from unichunk.server.evaluation.report.fonts import BOLD, FIXED, REGULAR, markup
from unichunk.server.evaluation.report.palette import INK, RULE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.server.evaluation.report.blocks import Cell, Table
    from unichunk.server.evaluation.report.palette import Look

SIZES: Final = (8.0, 7.5, 7.0, 6.5, 6.0, 5.5)
"""Of the font, [pt]; the largest with which no word is cut."""
GAP: Final = 8.0
"""Between columns, [pt]."""
HASH: Final = 0.8
"""Size of a digest's font, in sizes of the table's."""
MOST_LINES: Final = 20
"""Line breaks in a cell that are kept; with more they are written as signs."""
LONGEST: Final = 130.0
"""A word that is wider than this may be cut, [pt]."""


def grid(table: Table, room: float, dress: Mapping[str, Look]) -> Any:
    """Set a table.

    Args:
        table: What is in it.
        room: Width of the text, [pt].
        dress: Looks of the policies.
    """
    words, lines = _longest_words(table), _longest_lines(table)
    size = next((size for size in SIZES if sum(_least(words, size)) <= room), SIZES[-1])
    least = _least(words, size)
    wanted = [max(width * size + GAP, low) for width, low in zip(lines, least, strict=True)]
    widths = columns(least, wanted, room)
    styles = {
        align: ParagraphStyle(align, fontName=REGULAR, fontSize=size, leading=size * 1.32, textColor=HexColor(INK))
        for align in "lr"
    }
    styles["r"].alignment = 2
    rows = [
        [Paragraph(markup(text, BOLD), _bold(styles[a])) for text, a in zip(table.headers, table.align, strict=True)],
        *([_cell(cell, styles[a], dress) for cell, a in zip(row, table.align, strict=True)] for row in table.rows),
    ]
    # A note may be longer than a sheet: rows are split, too.
    whole = LongTable(rows, colWidths=widths, repeatRows=1, hAlign="LEFT", splitInRow=1)
    whole.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("LINEBELOW", (0, 0), (-1, 0), 1, HexColor(INK)),
            ("LINEBELOW", (0, 1), (-1, -1), 0.5, HexColor(RULE)),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), GAP),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ]
    )
    return whole


def columns(least: Sequence[float], wanted: Sequence[float], room: float) -> list[float]:
    """Widths of columns: what they want, or what is left is shared by how much more than the least they want.

    Args:
        least: Width of each column in which no word is cut.
        wanted: Width of each in which no line is broken, not less than the least.
        room: For all of them.
    """
    if sum(wanted) <= room:
        return list(wanted)
    left = room - sum(least)
    if left <= 0:
        return [width * room / sum(least) for width in least]
    missing = sum(wanted) - sum(least)
    return [low + left * (high - low) / missing for low, high in zip(least, wanted, strict=True)]


def _least(words: Sequence[float], size: float) -> list[float]:
    """Widths in which no word is cut.

    Args:
        words: Width of each column's longest word, in sizes of the font.
        size: Of the font.
    """
    return [min(width * size, LONGEST) + GAP for width in words]


def _longest_words(table: Table) -> list[float]:
    return [max(_width(word) for word in words) for words in _words(table)]


def _longest_lines(table: Table) -> list[float]:
    return [max(_width(line) for text in column for line in text.split("\n")) for column in _columns(table)]


def _words(table: Table) -> list[list[str]]:
    found: list[list[str]] = []
    for (head, *cells), align in zip(_columns(table), table.align, strict=True):
        # Numbers stay on one line.
        found.append([*_split(head), *(word for text in cells for word in ([text] if align == "r" else _split(text)))])
    return [words or [""] for words in found]


def _split(text: str) -> list[str]:
    """Words; a space that does not break is in one."""
    return text.replace("\n", " ").split(" ")


def _columns(table: Table) -> list[tuple[str, ...]]:
    return list(zip(table.headers, *map(_plain, table.rows), strict=True))


def _plain(row: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(f"●\N{NO-BREAK SPACE}{cell.policy}" if isinstance(cell, Named) else cell for cell in row)


def _width(text: str) -> float:
    """In sizes of the font."""
    if is_hash(text):
        return HASH * float(stringWidth(text, FIXED, 1))
    # Bold, as headers are: never too narrow.
    return float(stringWidth(text, BOLD, 1))


def _bold(style: Any) -> Any:
    return ParagraphStyle(f"{style.name}-head", style, fontName=BOLD)


def _cell(cell: Cell, style: Any, dress: Mapping[str, Look]) -> Any:
    if isinstance(cell, Named):
        look = dress[cell.policy]
        return Paragraph(
            f'<font color="{look.colour}">{look.sign}</font>\N{NO-BREAK SPACE}{markup(cell.policy)}', style
        )
    if is_hash(cell):
        small = ParagraphStyle("hash", style, fontName=FIXED, fontSize=style.fontSize * HASH)
        return Paragraph(markup(cell, FIXED), small)
    # A cell of very many lines would take sheets of paper, and long to set.
    text = cell if cell.count("\n") <= MOST_LINES else " ⏎ ".join(cell.split("\n"))
    return Paragraph(markup(text), style)
