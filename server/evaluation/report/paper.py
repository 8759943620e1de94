"""The report as a PDF, A4, with the same content as the page; plots are vectors."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import SimpleDocTemplate

from unichunk.server.evaluation.report.blocks import Text, texts
from unichunk.server.evaluation.report.fonts import BOLD, REGULAR, needs_reader_fonts, register
from unichunk.server.evaluation.report.palette import MUTED, RULE, looks
from unichunk.server.evaluation.report.paper_blocks import Setter
from unichunk.server.evaluation.report.paper_canvas import counting_canvas

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Document

MARGIN: Final = 16 * mm
PADDING: Final = 6.0
"""What reportlab leaves free between a sheet's margins and its text, [pt]."""
EDGE: Final = MARGIN + PADDING


def paper(document: Document) -> bytes:
    """Set a report on sheets.

    Args:
        document: What it says.

    Returns:
        The PDF; the same bytes for the same document.

    Raises:
        ReportError: Where the fonts are missing.
    """
    register()
    room = A4[0] - 2 * MARGIN - 2 * PADDING
    setter = Setter(room, looks(document.policies))
    story = [*setter.title(document.title, document.question)]
    for block in (*document.blocks, *_letters(document)):
        story += setter.flowables(block)
    written = io.BytesIO()
    sheets = _Sheets(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=20 * mm,
        bottomMargin=18 * mm,
        title=f"{document.title}: blinded evaluation",
        author="unichunk",
        subject=document.question,
        lang="en",
        # No time of day and no random identifier in the file.
        invariant=1,
    )
    sheets.running = document.running
    sheets.build(story, onLaterPages=_head, canvasmaker=counting_canvas(_foot))
    return written.getvalue()


class _Sheets(SimpleDocTemplate):  # type: ignore[misc]  # reportlab has no types
    running = ""

    def afterFlowable(self, flowable: Any) -> None:  # noqa: N802  (reportlab's name)
        """Enter sections in the outline that readers show beside the sheets."""
        entry = getattr(flowable, "outline", None)
        if entry is not None:
            key = f"section-{self.seq.nextf('section')}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(entry, key, 0)


def _letters(document: Document) -> list[Block]:
    """What to know of letters whose font is not in the file."""
    if not any(needs_reader_fonts(text) for block in document.blocks for text in texts(block)):
        return []
    said = (
        "Chinese, Japanese and Korean letters are set in the fonts of whoever reads this file, which does not embed "
        "them: where they are blank, report.html and trials.csv have the texts."
    )
    return [Text(said, small=True)]


def _head(canvas: Any, sheets: Any) -> None:
    width, height = A4
    canvas.saveState()
    canvas.setFont(REGULAR, 7.5)
    canvas.setFillColor(HexColor(MUTED))
    canvas.drawString(EDGE, height - 13 * mm, sheets.running)
    canvas.setStrokeColor(HexColor(RULE))
    canvas.line(EDGE, height - 15 * mm, width - EDGE, height - 15 * mm)
    canvas.restoreState()


def _foot(canvas: Any, sheet: int, sheets: int) -> None:
    canvas.setFont(REGULAR, 7.5)
    canvas.setFillColor(HexColor(MUTED))
    canvas.drawRightString(A4[0] - EDGE, 10 * mm, f"{sheet} of {sheets}")
    canvas.setFont(BOLD, 7.5)
    canvas.drawString(EDGE, 10 * mm, "Blinded evaluation")
