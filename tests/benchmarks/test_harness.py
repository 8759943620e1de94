"""What all benchmarks share: order of repetitions, ratios with intervals, percentiles, documents, pages."""

from __future__ import annotations

import json
import os
import sys
from html.parser import HTMLParser
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.benchmarks.harness import figures
from unichunk.benchmarks.harness.document import check_writable, document, is_measured, not_measured, write_json
from unichunk.benchmarks.harness.figures import FiguresUnavailable, grouped_bars, line_plot, stacked_bars
from unichunk.benchmarks.harness.html_page import Figure, Heading, Table, Text, html_page
from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.percentiles import percentiles
from unichunk.benchmarks.harness.ratio import Ratio, interval_rank, paired_ratio

if TYPE_CHECKING:
    from pathlib import Path

positive = st.floats(1e-3, 1e3)


def test_cases_alternate_and_every_other_round_runs_backwards() -> None:
    order: list[str] = []
    results = interleave({name: lambda name=name: order.append(name) or len(order) for name in "ABC"}, 3)
    assert "".join(order) == "CBA" + "ABC" + "CBA" + "ABC"
    assert results == {"A": [4, 9, 10], "B": [5, 8, 11], "C": [6, 7, 12]}


def test_a_steady_drift_cancels_out_of_the_median_ratio() -> None:
    clock = iter(range(100, 10_000))
    results = interleave({"A": lambda: float(next(clock)), "B": lambda: float(next(clock))}, 10)
    assert paired_ratio(results["A"], results["B"], better="lower").median == pytest.approx(1.0, abs=1e-3)


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=40))
def test_ratios_are_those_of_each_round(pairs: list[tuple[float, float]]) -> None:
    above, below = zip(*pairs, strict=True)
    ratio = paired_ratio(above, below, better="lower")
    each = np.array(above) / np.array(below)
    assert ratio.low <= ratio.median <= ratio.high
    assert ratio.median == pytest.approx(np.median(each))
    assert {ratio.low, ratio.high} <= set(each)
    assert (ratio.confidence >= 0.95) == (len(pairs) >= 6)
    backwards = paired_ratio(below, above, better="higher")
    assert backwards.low == pytest.approx(1 / ratio.high)
    assert backwards.high == pytest.approx(1 / ratio.low)


@pytest.mark.parametrize("count", range(1, 60))
def test_the_interval_is_the_narrowest_that_is_sure_enough(count: int) -> None:
    def confidence(rank: int) -> float:
        return 1 - 2 * sum(comb(count, i) for i in range(rank)) / 2**count

    rank, sure = interval_rank(count)
    assert sure == pytest.approx(max(0.0, confidence(rank)))
    if count >= 6:
        assert sure >= 0.95 > confidence(rank + 1)


def test_intervals_hold_the_true_median_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        ratio = paired_ratio(np.exp(random.standard_normal(15)), np.ones(15), better="lower")
        held += ratio.low <= 1.0 <= ratio.high
    assert 0.94 < held / 1000 < 0.99


@pytest.mark.parametrize(
    ("above", "below"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [-1.0]), ([float("nan")], [1.0])]
)
def test_ratios_of_anything_else_are_refused(above: list[float], below: list[float]) -> None:
    with refused(ValueError, "expected"):
        paired_ratio(above, below, better="lower")


def test_a_ratio_of_too_few_rounds_says_so() -> None:
    assert "no 95 % interval" in str(paired_ratio([1.0] * 5, [2.0] * 5, better="lower"))
    assert str(paired_ratio([1.0] * 6, [2.0] * 6, better="lower")) == "0.5 (0.5 to 0.5)"


def test_percentiles_need_enough_samples() -> None:
    few = percentiles(range(100))
    assert few["n"] == 100
    assert few["p50"] == pytest.approx(49.5)
    assert few["p95"] == pytest.approx(94.05)
    assert few["max"] == 99
    assert few["p99"] == not_measured("100 samples; it takes 500")
    assert not is_measured(few["p999"])
    many = percentiles(range(5000))
    assert [is_measured(many[name]) for name in ("p50", "p95", "p99", "p999", "max")] == [True] * 5
    assert not any(is_measured(value) for name, value in percentiles([]).items() if name != "n")


def test_a_document_says_where_and_when(tmp_path: Path) -> None:
    ratio = Ratio(1.5, 1.0, 2.0, 0.95, 7, "lower")
    path = tmp_path / "result.json"
    write_json(path, document("jitter", quick=True, ratios={"a / b": ratio}, rows=[{"p99_us": not_measured("why")}]))
    result = json.loads(path.read_bytes())
    assert list(result) == ["benchmark", "quick", "date", "machine", "ratios", "rows"]
    assert {"board", "processor", "cores", "memory_gib", "system", "python", "numpy"} <= set(result["machine"])
    assert result["ratios"]["a / b"] == ratio.row()
    assert list(tmp_path.iterdir()) == [path]


def test_a_document_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"benchmark": "x"})
    with pytest.raises(TypeError):
        write_json(path, {"benchmark": object()})
    assert json.loads(path.read_bytes()) == {"benchmark": "x"}
    assert list(tmp_path.iterdir()) == [path]
    write_json(None, {"benchmark": object()})


@pytest.mark.parametrize("name", ["", "no/folder/result.json"])
def test_a_file_that_cannot_be_written_is_refused_before_measuring(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        check_writable(tmp_path / name)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--json: {tmp_path / name} ")
    check_writable(None)
    check_writable(tmp_path / "result.json")


def test_what_is_no_file_of_its_own_is_written_to_and_stays(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target.json", tmp_path / "link.json", tmp_path / "pipe"
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (link, pipe):
            check_writable(path)
            write_json(path, {"benchmark": "x"})
        assert json.loads(os.read(reader, 1000)) == {"benchmark": "x"}
    finally:
        os.close(reader)
    assert link.is_symlink()
    assert json.loads(target.read_bytes()) == {"benchmark": "x"}
    assert pipe.is_fifo()


def test_a_file_in_a_folder_that_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A document replaces the file, which takes the folder; whoever is root may all, so this is played."""
    path = tmp_path / "result.json"
    path.write_text("{}")
    for closed in (tmp_path, path):
        monkeypatch.setattr(os, "access", lambda each, _, closed=closed: each != closed)
        with pytest.raises(SystemExit):
            check_writable(path)
        assert "may not be written" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: True)
    check_writable(path)


def test_tables_show_what_was_not_measured_as_a_dash() -> None:
    table = markdown_table(["loop", "p99"], [["ours", 0.12345], ["theirs", not_measured("no network")], ["n", 12345.6]])
    assert table.splitlines() == ["| loop | p99 |", "|---|---|", "| ours | 0.123 |", "| theirs | - |", "| n | 12346 |"]


class _Balance(HTMLParser):
    """Counts tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_a_page_holds_its_parts_and_nothing_from_elsewhere() -> None:
    svg = line_plot({"a < b": ([0, 1], [0.5, 1.0])}, x="d", y="success", bands={"a < b": ([0.4, 0.9], [0.6, 1.0])})
    parts = [Heading("<x>"), Text("a & b", warning=True), Table(["<h>"], [["<c>"]]), Figure(svg, "caption")]
    page = html_page("title <>", parts)
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert {"h1", "h2", "p", "table", "figure", "svg", "figcaption"} <= parser.seen
    assert "&lt;h&gt;" in page
    assert "<script" not in page
    assert "src=" not in page


def test_plots_are_the_same_bytes_for_the_same_data() -> None:
    def draw() -> list[str]:
        return [
            line_plot({"a": ([1, 2], [3, 4])}, x="x", y="y", log_y=True),
            stacked_bars({"prefix": [1, 2], "chunk": [2, 1]}, ["one", "two"], unit="ms"),
            grouped_bars({"ours": [1, 2], "theirs": [2, 10]}, ["idle", "busy"], y="us", log_y=True),
        ]

    assert draw() == draw()
    for one, other in pairwise(draw()):
        assert one != other
        assert one.startswith("<svg")


def test_without_matplotlib_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with refused(FiguresUnavailable, "unichunk[report]"):
        figures.line_plot({"a": ([1], [1])}, x="x", y="y")
