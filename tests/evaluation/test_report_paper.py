"""The PDF: the same bytes for the same results, every letter, and rows of any length."""

from __future__ import annotations

import re
import zlib
from base64 import a85decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.report_inputs import small_analysis, small_results
from unichunk.server.evaluation.report.blocks import Document, Figure, Heading, Named, Table
from unichunk.server.evaluation.report.content import content
from unichunk.server.evaluation.report.dataset import NOTHING
from unichunk.server.evaluation.report.fonts import CHINESE, JAPANESE, KOREAN, markup, needs_reader_fonts, register
from unichunk.server.evaluation.report.paper import paper
from unichunk.server.evaluation.report.paper_table import columns
from unichunk.server.evaluation.report.scene import Label, Scene


def sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def drawn(pdf: bytes) -> bytes:
    """Everything that the sheets draw."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    found = b""
    for stream in streams:
        try:
            found += zlib.decompress(
                a85decode(stream.strip(), adobe=False) if stream.strip().endswith(b"~>") else stream
            )
        except (ValueError, zlib.error):
            continue
    return found


@pytest.fixture(scope="module")
def written() -> bytes:
    return paper(content(small_results(), small_analysis(), NOTHING))


def test_it_is_a_pdf_with_fonts_and_vectors(written: bytes) -> None:
    assert written.startswith(b"%PDF-")
    assert b"DejaVuSans" in written
    assert CHINESE.encode() in written
    assert b"/Subtype /Image" not in written
    assert sheets(written) >= 5


def test_the_same_results_give_the_same_bytes(written: bytes) -> None:
    assert paper(content(small_results(), small_analysis(), NOTHING)) == written


def test_there_is_no_time_of_day_in_it(written: bytes) -> None:
    assert set(re.findall(rb"/(?:CreationDate|ModDate) \(D:(\d{4})", written)) <= {b"2000"}


def test_letters_are_set_in_fonts_that_have_them() -> None:
    register()
    assert markup("Чашка επιτυχία é") == "Чашка επιτυχία é"
    assert markup("a < b & c") == "a &lt; b &amp; c"
    assert markup("杯子 ok") == f'<font name="{CHINESE}">杯子</font> ok'
    assert markup("杯が倒れた") == f'<font name="{JAPANESE}">杯が倒れた</font>'
    assert markup("컵") == f'<font name="{KOREAN}">컵</font>'
    assert markup("🙂") == "[U+1F642]"
    assert markup("a\nb") == "a<br/>b"
    assert markup("a\x07b") == "a[U+0007]b"
    assert needs_reader_fonts("杯")
    assert not needs_reader_fonts("Чашка")


@given(text=st.text(max_size=40))
def test_any_text_can_be_set(text: str) -> None:
    register()
    assert "\x00" not in markup(text)


@pytest.mark.parametrize("note", ["\n" * 2000, "x" * 2000, "word " * 400, "杯" * 2000, "<b>&" * 500])
def test_a_note_may_be_longer_than_a_sheet(note: str) -> None:
    table = Table(("policy", "note", "n"), ((Named("p"), note, "1"), (Named("p"), "end", "2")), "llr")
    assert sheets(paper(Document("t", "q", "r", ("p",), (Heading("h"), table)))) >= 1


def test_many_columns_fit_on_a_sheet() -> None:
    names = tuple(f"column number {index}" for index in range(24))
    table = Table(names, (tuple("12345" for _ in names),) * 3, "r" * len(names))
    assert sheets(paper(Document("t", "q", "r", (), (table,)))) == 1


@given(
    least=st.lists(st.floats(5, 120), min_size=1, max_size=20),
    more=st.lists(st.floats(0, 300), min_size=20, max_size=20),
    room=st.floats(200, 600),
)
def test_columns_fill_no_more_than_the_room(least: list[float], more: list[float], room: float) -> None:
    wanted = [low + extra for low, extra in zip(least, more, strict=False)]
    widths = columns(least, wanted, room)
    assert sum(widths) <= room * (1 + 1e-9)
    assert all(width > 0 for width in widths)
    if sum(least) <= room:
        assert all(width >= low - 1e-6 for width, low in zip(widths, least, strict=True))


def test_a_plot_that_is_higher_than_a_sheet_is_made_smaller() -> None:
    scene = Scene(400, 4000, (Label((0, 3999), "foot"),), "high")
    assert sheets(paper(Document("t", "q", "r", (), (Figure(scene, "c"),)))) <= 2


def test_plots_are_drawn(written: bytes) -> None:
    document = content(small_results(), small_analysis(), NOTHING)
    assert sum(isinstance(block, Figure) for block in document.blocks) >= 6
    assert len(re.findall(rb"\bre\b|\bl S\b|\bc\b", drawn(written))) > 50
