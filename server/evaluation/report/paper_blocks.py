"""Blocks as reportlab's flowables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import KeepTogether, PageBreak, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from unichunk.server.evaluation.report.blocks import Bullets, Callout, Facts, Figure, Heading, Table, Text
from unichunk.server.evaluation.report.fonts import BOLD, FIXED, REGULAR, markup
from unichunk.server.evaluation.report.palette import INK, MUTED
from unichunk.server.evaluation.report.paper_table import grid
from unichunk.server.evaluation.report.scene_drawing import drawing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.server.evaluation.report.blocks import Block
    from unichunk.server.evaluation.report.palette import Look

ACCENT: Final = "#0b4f8a"
TONES: Final = {"result": (ACCENT, "#eef4fa"), "warning": ("#b35900", "#fff6e9")}
TALL: Final = 600.0
"""How high a plot may be, [pt]."""
PLOT: Final = 0.68
"""How much of the sheet's width a plot takes."""


class Setter:
    """Sets blocks.

    Args:
        room: Width of the text, [pt].
        dress: Looks of the policies.
    """

    def __init__(self, room: float, dress: Mapping[str, Look]) -> None:
        self._room = room
        self._dress = dress
        self._text = ParagraphStyle("text", fontName=REGULAR, fontSize=9, leading=13, textColor=HexColor(INK))
        self._text.spaceAfter = 5
        self._item = ParagraphStyle("item", self._text, leftIndent=11, bulletIndent=1, bulletFontName=REGULAR)
        self._item.spaceAfter = 3
        self._small = ParagraphStyle("small", self._text, fontSize=7.5, leading=10.5, textColor=HexColor(MUTED))
        self._bold = ParagraphStyle("bold", self._text, fontName=BOLD, fontSize=11, leading=15)
        self._kicker = ParagraphStyle("kicker", self._text, fontName=BOLD, fontSize=7.5, textColor=HexColor(ACCENT))
        self._top = ParagraphStyle("top", self._text, fontName=BOLD, fontSize=20, leading=25)
        self._question = ParagraphStyle("question", self._text, fontSize=10.5, leading=15, textColor=HexColor(MUTED))
        self._headings = {
            2: ParagraphStyle("h2", self._text, fontName=BOLD, fontSize=13, leading=17, keepWithNext=1),
            3: ParagraphStyle("h3", self._text, fontName=BOLD, fontSize=9.5, leading=13, keepWithNext=1),
        }
        self._headings[2].spaceBefore, self._headings[2].spaceAfter = 18, 5
        self._headings[3].spaceBefore, self._headings[3].spaceAfter = 9, 3

    def title(self, title: str, question: str) -> list[Any]:
        """The head of the first sheet."""
        return [
            self._paragraph("BLINDED EVALUATION", self._kicker),
            self._paragraph(title, self._top),
            self._paragraph(question, self._question),
            Spacer(1, 6),
        ]

    def flowables(self, block: Block) -> list[Any]:
        """One block."""
        if isinstance(block, Heading):
            heading = self._paragraph(block.text, self._headings[block.level])
            heading.outline = block.text if block.level == 2 else None
            return [heading]
        if isinstance(block, Text):
            return [self._paragraph(block.text, self._small if block.small else self._text)]
        if isinstance(block, Callout):
            return [self._callout(block), Spacer(1, 7)]
        if isinstance(block, Bullets):
            return [Paragraph(markup(item), self._item, bulletText="•") for item in block.items]
        return self._wide(block)

    def _wide(self, block: Block) -> list[Any]:
        if isinstance(block, Facts):
            return [self._facts(block), Spacer(1, 4)]
        if isinstance(block, Table):
            note = [self._paragraph(block.note, self._small)] if block.note else []
            return [grid(block, self._room, self._dress), Spacer(1, 3), *note, Spacer(1, 5)]
        if isinstance(block, Figure):
            width = self._room * PLOT
            caption = self._paragraph(block.caption, self._small)
            return [KeepTogether([drawing(block.scene, width, TALL), Spacer(1, 2), caption, Spacer(1, 5)])]
        return [PageBreak()]

    def _callout(self, block: Callout) -> Any:
        edge, ground = TONES[block.tone]
        lines = [self._paragraph(block.title, self._bold)]
        sign = "• " if block.tone == "warning" else ""
        lines += [self._paragraph(f"{sign}{text}", self._text) for text in block.paragraphs]
        box = Grid([[line] for line in lines], colWidths=[self._room], hAlign="LEFT")
        box.setStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), HexColor(ground)),
                ("LINEBEFORE", (0, 0), (0, -1), 4, HexColor(edge)),
                ("LEFTPADDING", (0, 0), (-1, -1), 12),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ]
        )
        return box

    def _facts(self, block: Facts) -> Any:
        fixed = ParagraphStyle("fixed", self._text, fontName=FIXED, fontSize=7.5)
        rows = [
            [
                self._paragraph(fact.name, self._small),
                self._paragraph(fact.value, fixed if fact.fixed else self._text),
            ]
            for fact in block.rows
        ]
        table = Grid(rows, colWidths=[0.2 * self._room, 0.8 * self._room], hAlign="LEFT")
        table.setStyle(
            [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ]
        )
        return table

    @staticmethod
    def _paragraph(text: str, style: Any) -> Any:
        return Paragraph(markup(text, style.fontName), style)
