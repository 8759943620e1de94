"""The project's pages say what the stored results say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.pyproject import ROOT
from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.summary.__main__ import blocks_of
from unichunk.benchmarks.summary.drawings import drawings_of, mean_rows
from unichunk.benchmarks.summary.readme_blocks import BLOCK, replace_blocks
from unichunk.benchmarks.summary.readme_tables import BLOCKS, async_main, jitter_main

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)#:]+)[)#]")
PAGES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
MACHINE = {"processor": "P", "cores": 2, "python": "3.11"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_those_of_the_stored_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert BLOCK.search(text)
    assert replace_blocks(text, blocks_of(ROOT / "benchmarks" / "results")) == text


def test_plots_that_pages_show_are_there() -> None:
    shown = [page.parent / link for page in PAGES for link in LINK.findall(page.read_text(encoding="utf-8"))]
    assert sum(path.suffix == ".svg" for path in shown) >= 2
    assert [str(path) for path in shown if not path.exists()] == []


def test_blocks_are_replaced_and_nothing_else() -> None:
    page = "before\n<!-- results: one -->\nold\nold\n<!-- end of results -->\nbetween\n<!-- results: two -->\n"
    page += "<!-- end of results -->\nafter\n"
    made = replace_blocks(page, {"one": "| a |", "two": "| b |", "three": "| c |"})
    assert made == (
        "before\n<!-- results: one -->\n| a |\n<!-- end of results -->\nbetween\n<!-- results: two -->\n| b |\n"
        "<!-- end of results -->\nafter\n"
    )
    with pytest.raises(KeyError):
        replace_blocks(page, {"one": ""})


def async_row(task: str, method: str, success: float, delay: int = 4, kind: str = "fixed") -> dict[str, Any]:
    return {
        "task": task,
        "method": method,
        "delay": delay,
        "delay_kind": kind,
        "chunk": 8,
        "episodes": 2048,
        "success": success,
        "low": success - 0.02,
        "high": success + 0.02,
    }


def test_the_main_table_has_one_delay_and_the_mean() -> None:
    rows = [async_row("catch", "uac", 0.5), async_row("land", "uac", 0.8), async_row("catch", "uac", 0.9, delay=2)]
    rows.append(async_row("catch", "uac", 0.1, kind="sampled"))
    table = async_main({"rows": rows, "machine": MACHINE, "date": "2026-01-01"})
    assert "| d = 4 | catch, T = 8 | land, T = 8 | mean |" in table
    assert "| `uac` | 0.50 | 0.80 | **0.65** |" in table
    assert "(2048 episodes a cell; P, 2 cores, CPython 3.11, 2026-01-01)" in table


def test_the_mean_of_tasks_needs_all_of_them() -> None:
    rows = [async_row("catch", "uac", 0.5), async_row("land", "uac", 0.8), async_row("catch", "uac", 0.9, delay=2)]
    (mean,) = mean_rows(rows)
    assert mean["success"] == pytest.approx(0.65)
    assert mean["high"] - mean["low"] == pytest.approx(0.04 / 2**0.5)
    assert mean_rows(rows[:1]) == []


def test_loops_that_were_not_measured_leave_a_dash_and_no_bar() -> None:
    rows = [
        {"loop": "unichunk", "rate_hz": 500, "load": "idle", "p99_us": 123.4, "achieved_hz": 500.04},
        {"loop": "openpi", "rate_hz": 500, "load": "idle", "p99_us": not_measured("no network"), "achieved_hz": 0.0},
    ]
    document = {"benchmark": "jitter", "rows": rows, "machine": MACHINE, "date": "2026-01-01"}
    table = jitter_main(document)
    assert "| `unichunk` | 123, 500.0 |" in table
    assert "| `openpi` | - |" in table
    ((_, svg),) = drawings_of(document).items()
    assert "unichunk" in svg
    assert "openpi" not in svg


def test_benchmarks_without_a_plot_have_none() -> None:
    assert drawings_of({"benchmark": "wire"}) == {}
    assert {"async", "jitter", "ablation"} <= set(BLOCKS)
