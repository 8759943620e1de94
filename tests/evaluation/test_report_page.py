"""The page: one file, nothing from elsewhere, nothing that notes could do to it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.evaluation.report_inputs import small_analysis, small_results
from unichunk.server.evaluation.report.blocks import (
    Bullets,
    Callout,
    Document,
    Fact,
    Facts,
    Figure,
    Heading,
    Named,
    Table,
    Text,
)
from unichunk.server.evaluation.report.content import content
from unichunk.server.evaluation.report.dataset import NOTHING
from unichunk.server.evaluation.report.page import page
from unichunk.server.evaluation.report.palette import looks, tint
from unichunk.server.evaluation.report.scene import Box, Curve, Label, Line, Mark, Scene, shortened
from unichunk.server.evaluation.report.scene_svg import svg

VOID = {"meta", "line", "rect", "circle", "polygon", "polyline"}


class Tags(HTMLParser):
    """All tags and attributes; complains of any that does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written() -> str:
    return page(content(small_results(), small_analysis(), NOTHING))


def test_it_needs_nothing_else(written: str) -> None:
    tags = Tags()
    tags.feed(written)
    assert tags.open == []
    assert not tags.names & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not [name for name, _ in tags.attributes if name in {"src", "srcset", "action"} or name.startswith("on")]
    assert all((value or "").startswith("#") for name, value in tags.attributes if name == "href")
    assert "url(" not in written
    assert "@import" not in written
    assert "default-src 'none'" in written


def test_notes_are_text(written: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in written
    for note in ("杯子倒了", "コップが倒れた", "Чашка упала, επιτυχία", "🙂", "line one\nline two"):
        assert note in written


def test_the_same_results_give_the_same_page(written: str) -> None:
    assert page(content(small_results(), small_analysis(), NOTHING)) == written


def test_every_block_is_escaped() -> None:
    evil = '"><script>x</script>&'
    scene = Scene(10, 10, (Label((0, 0), evil), Mark((0, 0), "circle", "#000000", tip=evil)), evil)
    blocks = (
        Heading(evil),
        Heading(evil, 3),
        Text(evil),
        Text(evil, small=True),
        Callout("result", evil, (evil,)),
        Callout("warning", evil, (evil,)),
        Bullets((evil,)),
        Facts((Fact(evil, evil, fixed=True),)),
        Table((evil, evil), ((evil, Named(evil)),), "lr", evil),
        Figure(scene, evil),
    )
    text = page(Document(evil, evil, evil, (evil,), blocks))
    assert "<script" not in text
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert text.count("script&gt;x") >= 20


def test_shapes_become_svg() -> None:
    shapes = (
        Line((0, 0), (1, 2), dash=(3, 1)),
        Curve(((0, 0), (1, 1)), "#123456"),
        Curve(((0, 0), (1, 1), (2, 0)), "#123456", fill="#abcdef"),
        Box((1, 1), 2, 3, "#ffffff", "tip"),
        *(Mark((5, 5), shape, "#000000", filled=False) for shape in ("circle", "square", "diamond", "triangle")),
        Label((0, 0), "a & b", anchor="end", bold=True, turn=30),
    )
    text = svg(Scene(10.0, 20.5, shapes, 'said "so"'))
    assert 'viewBox="0 0 10 20.5"' in text
    assert "aria-label='said \"so\"'" in text
    assert 'stroke-dasharray="3 1"' in text
    assert "<title>tip</title>" in text
    assert 'transform="rotate(-30 0 0)"' in text
    assert "a &amp; b" in text
    assert len(re.findall("<(?:circle|polygon|polyline)", text)) == 6


def test_policies_are_told_apart_without_colours() -> None:
    names = [f"p{index}" for index in range(16)]
    dress = looks(names)
    assert len(set(dress.values())) == 16
    assert len({(dress[name].colour, dress[name].sign) for name in names[:4]}) == 4
    assert tint("#000000", 0) == "#ffffff"
    assert tint("#123456", 1) == "#123456"


def test_long_names_are_shortened_visibly() -> None:
    assert shortened("short", 100) == "short"
    assert shortened("a name that is too long", 60).endswith("…")
