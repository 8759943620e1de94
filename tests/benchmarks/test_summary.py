"""All benchmarks in one run: outcomes, what changed, the report."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.benchmarks import all as all_benchmarks
from unichunk.benchmarks.harness.html_page import Heading, Table, Text
from unichunk.benchmarks.harness.ratio import Ratio
from unichunk.benchmarks.summary import runner
from unichunk.benchmarks.summary.markdown_parts import markdown_parts
from unichunk.benchmarks.summary.runner import Outcome, run_benchmark
from unichunk.benchmarks.summary.stored import SUMMARY, ResultUnreadable, last_ratios, read_document
from unichunk.benchmarks.summary.watch import beyond_noise, compare

if TYPE_CHECKING:
    from pathlib import Path


def ratio(low: float, median: float, high: float, *, pairs: int = 7, better: str = "lower") -> dict[str, Any]:
    return Ratio(median, low, high, 0.98 if pairs >= 6 else 0.5, pairs, better).row()  # type: ignore[arg-type]


def test_what_differs_beyond_noise_is_named_the_worse_first() -> None:
    before = {"jitter": {"a": ratio(0.9, 1.0, 1.1), "b": ratio(0.9, 1.0, 1.1), "old": ratio(1, 1, 1)}}
    now = {"jitter": {"a": ratio(0.4, 0.5, 0.6), "b": ratio(1.4, 1.5, 1.6), "new": ratio(1, 1, 1)}}
    watch = compare(before, now)
    lines = watch.lines()
    assert lines[0].startswith("2 ratios compared with the last stored run: 1 worse, 1 better beyond noise, 1 new, 1 ")
    assert lines[1] == "WORSE: jitter: b: 1 (0.9 to 1.1, 7 pairs) -> 1.5 (1.4 to 1.6, 7 pairs)"
    assert lines[2].startswith("better: jitter: a: ")
    assert lines[3] == "not there any more: jitter: old"
    assert watch.new == ("jitter: new",)


def test_where_higher_is_better_a_rise_is_no_regression() -> None:
    before = {"async": {"uac / naive": ratio(1.4, 1.5, 1.6, better="higher")}}
    now = {"async": {"uac / naive": ratio(1.9, 2.0, 2.1, better="higher")}}
    assert [change.worse for change in compare(before, now).changes] == [False]
    assert [change.worse for change in compare(now, before).changes] == [True]


def test_a_benchmark_that_did_not_run_has_lost_nothing() -> None:
    watch = compare({"ik": {"a": ratio(1, 1, 1)}}, {"jitter": {}})
    assert watch.gone == ()
    assert watch.compared == 0


@pytest.mark.parametrize(
    ("before", "now", "differs"),
    [
        (ratio(0.9, 1.0, 1.1), ratio(1.0, 1.2, 1.3), False),
        (ratio(0.99, 1.0, 1.01), ratio(1.04, 1.05, 1.06), False),
        (ratio(0.99, 1.0, 1.01), ratio(1.1, 1.15, 1.2), True),
        (ratio(0.99, 1.0, 1.01), ratio(1.1, 1.15, 1.2, pairs=2), False),
        (ratio(0.99, 1.0, 1.01), ratio(1.3, 1.4, 1.5, pairs=2), True),
        (ratio(1.3, 1.4, 1.5, pairs=2), ratio(0.99, 1.0, 1.01), True),
    ],
)
def test_noise(before: dict[str, Any], now: dict[str, Any], differs: bool) -> None:
    assert beyond_noise(before, now) is differs
    assert beyond_noise(now, before) is differs


spans = st.tuples(*[st.floats(0.1, 10)] * 3).map(sorted).map(lambda values: ratio(*values))


@given(spans, spans)
def test_what_is_named_is_apart_and_large(one: dict[str, Any], other: dict[str, Any]) -> None:
    if beyond_noise(one, other):
        assert one["high"] < other["low"] or other["high"] < one["low"]
        assert not 1 / 1.1 < one["median"] / other["median"] < 1.1
    assert not beyond_noise(one, one)


def fake_benchmark(monkeypatch: pytest.MonkeyPatch, folder: Path, **modules: str) -> None:
    """Modules that stand for the package of benchmarks."""
    (folder / "fakes").mkdir(exist_ok=True)
    for name, code in modules.items():
        (folder / "fakes" / f"{name}.py").write_text(code)
    monkeypatch.setattr(runner, "PACKAGE", "fakes")
    monkeypatch.setenv("PYTHONPATH", str(folder))


GOOD = """
import json, sys
path = sys.argv[sys.argv.index("--json") + 1]
print("| a | b |\\n|---|---|\\n| 1 | 2 |", "--quick" in sys.argv)
json.dump({"benchmark": "good", "ratios": {"r": %s}}, open(path, "w"))
"""


@pytest.mark.processes
def test_outcomes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_benchmark(
        monkeypatch,
        tmp_path,
        good=GOOD % ratio(1, 1, 1),
        failed="import sys\nsys.exit(3)\n",
        silent="",
        broken="import sys\nopen(sys.argv[-1], 'w').write('{')\n",
        endless="import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])\n",
    )
    good = run_benchmark("good", ("--quick",), 30.0)
    assert good.problem == ""
    assert good.document is not None
    assert good.said.endswith("True\n")
    assert run_benchmark("failed", (), 30.0).problem == "ended with status 3"
    assert run_benchmark("silent", (), 30.0).problem == "wrote no result"
    assert run_benchmark("broken", (), 30.0).problem.startswith("wrote a result that is no JSON document: ")
    begun = time.monotonic()
    assert run_benchmark("endless", (), 1.0).problem == "took longer than 1 s and was ended"
    assert time.monotonic() - begun < 30


def run_all(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["all", *arguments])
    try:
        all_benchmarks.main()
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


@pytest.mark.processes
def test_two_runs_are_compared_and_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(all_benchmarks, "benchmark_names", lambda: ["all", "failed", "good"])
    fake_benchmark(monkeypatch, tmp_path, good=GOOD % ratio(0.9, 1, 1.1), failed="raise SystemExit(1)")
    out = tmp_path / "results"
    assert run_all(monkeypatch, "good", "--quick", "--out", str(out)) == 0
    assert "no stored run to compare with" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["good.json", "report.html", "summary.json"]
    fake_benchmark(monkeypatch, tmp_path, good=GOOD % ratio(1.9, 2, 2.1))
    assert run_all(monkeypatch, "--quick", "--out", str(out), "--json", str(tmp_path / "summary.json")) == 1
    said = capsys.readouterr().out
    assert "- WORSE: good: r: 1 (0.9 to 1.1, 7 pairs) -> 2 (1.9 to 2.1, 7 pairs)" in said
    assert "not measured: failed: ended with status 1" in said
    summary = json.loads((tmp_path / "summary.json").read_bytes())
    assert summary["benchmarks"]["failed"]["not_measured"] == "ended with status 1"
    assert summary["changes"][1].startswith("WORSE: good")
    page = (out / "report.html").read_text()
    assert "not measured: ended with status 1" in page
    assert "WORSE: good: r" in page
    # A run of some of them leaves the others in the summary.
    fake_benchmark(monkeypatch, tmp_path, failed=GOOD.replace('"r"', '"s"') % ratio(1, 1, 1))
    assert run_all(monkeypatch, "failed", "--quick", "--out", str(out)) == 0
    assert set(last_ratios(out)) == {"good", "failed"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("{", "not a benchmark's document"),
        ("[]", "not a benchmark's document"),
        ("{}", "no name of a benchmark"),
    ],
)
def test_damaged_documents_are_refused(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "jitter.json"
    if content is not None:
        path.write_text(content)
    with refused(ResultUnreadable, str(path), words):
        read_document(path)


def test_a_damaged_summary_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert last_ratios(tmp_path) == {}
    (tmp_path / SUMMARY).write_text('{"benchmark": "all", "benchmarks": {"ik": {"ratios": {"a": {"median": "x"}}}}}')
    assert run_all(monkeypatch, "--out", str(tmp_path)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not the summary of a run" in line


def test_unknown_benchmarks_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_all(monkeypatch, "jiter", "--out", str(tmp_path / "x")) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("unichunk bench all: unknown benchmark 'jiter': expected some of ")
    assert not (tmp_path / "x").exists()


def test_what_benchmarks_print_becomes_parts_of_a_page() -> None:
    said = "first line\nsecond\n\n# Title\n| a | `b` |\n|---|---|\n| 1 | 2 |\nafter\n"
    assert markdown_parts(said) == [
        Text("first line second"),
        Heading("Title"),
        Table(["a", "b"], [["1", "2"]]),
        Text("after"),
    ]


@given(st.text(alphabet="|#a \n-", max_size=80))
def test_any_text_ends(said: str) -> None:
    shown = markdown_parts(said)
    assert isinstance(shown, list)


def test_a_report_without_results_is_still_a_page() -> None:
    from unichunk.benchmarks.summary.report import report_page

    summary = {"date": "2026-01-01", "quick": True, "machine": {"cores": 2}, "changes": []}
    page = report_page(summary, [Outcome("ik", 1.0, "wrote no result", "", None)])
    assert "not measured: wrote no result" in page
