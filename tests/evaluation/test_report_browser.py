"""The page in a real browser: on a phone, and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evaluation.browser import CHROMIUM, chromium
from tests.evaluation.report_inputs import small_analysis, small_results
from unichunk.server.evaluation.report.content import content
from unichunk.server.evaluation.report.dataset import NOTHING
from unichunk.server.evaluation.report.page import page

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on this machine"),
]

WIDE = "[...document.querySelectorAll('main > *:not(.table)')].filter(e => e.scrollWidth > innerWidth).length"


def test_it_fits_on_a_phone_asks_for_nothing_and_prints(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(content(small_results(), small_analysis(), NOTHING)), encoding="utf-8")
    said: list[str] = []
    asked: list[str] = []
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("dialog", lambda dialog: said.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        assert tab.evaluate(WIDE) == 0
        assert tab.evaluate("Math.min(...[...document.querySelectorAll('svg')].map(e => e.clientHeight))") > 60
        printed = tab.pdf(prefer_css_page_size=True)
        tab.click("nav a:last-of-type")
        assert tab.evaluate("scrollY") > 1000
        context.close()
    assert said == []
    assert asked == [file.as_uri()]
    assert printed.startswith(b"%PDF")
