"""All benchmarks in one run: outcomes, what changed, the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
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
from unichunk.benchmarks.summary import __main__ as pages
from unichunk.benchmarks.summary import runner
from unichunk.benchmarks.summary.markdown_parts import markdown_parts
from unichunk.benchmarks.summary.readme_tables import async_main, jitter_ratios
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


def test_two_runs_are_compared_and_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(all_benchmarks, "benchmark_names", lambda: ["all", "failed", "good"])
    fake_benchmark(monkeypatch, tmp_path, good=GOOD % ratio(0.9, 1, 1.1), failed="raise SystemExit(1)")
    out = tmp_path / "results"
    assert run_all(monkeypatch, "good", "--quick", "--out", str(out)) == 0
    assert "no stored run of the same form to compare with" in capsys.readouterr().out
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
    assert run_all(monkeypatch, "failed", "failed", "--quick", "--out", str(out)) == 0
    assert capsys.readouterr().err.count("failed ...") == 1
    assert set(last_ratios(out, quick=True)) == {"good", "failed"}
    # One that fails loses nothing either.
    fake_benchmark(monkeypatch, tmp_path, good="raise SystemExit(1)")
    assert run_all(monkeypatch, "good", "--quick", "--out", str(out)) == 1
    assert "not there any more: " not in capsys.readouterr().out
    assert last_ratios(out, quick=True)["good"]["r"]["median"] == 2
    # The two forms repeat and measure different things.
    assert last_ratios(out, quick=False) == {}


ENDLESS = "import pathlib, time\npathlib.Path(%r).write_text(str(__import__('os').getpid()))\ntime.sleep(60)\n"

RUN = """
from unichunk.benchmarks import all as all_benchmarks
from unichunk.benchmarks.summary import runner
runner.PACKAGE = "fakes"
all_benchmarks.benchmark_names = lambda: ["endless"]
all_benchmarks.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_leaves_no_benchmark_behind(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    fake_benchmark(monkeypatch, tmp_path, endless=ENDLESS % str(started))
    command = [sys.executable, "-c", RUN, "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 30
        while not (started.exists() and started.read_text()) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        process.send_signal(number)
        _, complained = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in complained
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


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
    assert last_ratios(tmp_path, quick=True) == {}
    row = ratio(1, 1, 1)
    for benchmarks in ([], {"ik": 1}, {"ik": {}}, *({"ik": {"ratios": {"a": row | {"median": m}}}} for m in ("x", 0))):
        (tmp_path / SUMMARY).write_text(json.dumps({"benchmark": "all", "quick": True, "benchmarks": benchmarks}))
        assert run_all(monkeypatch, "--out", str(tmp_path)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "not the summary of a run" in line


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(all_benchmarks, "run_benchmark", lambda *_: pytest.fail("something ran"))
    assert run_all(monkeypatch, "--out", str(tmp_path)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--out: {tmp_path / SUMMARY} may not be written")


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


JITTER = {
    "benchmark": "jitter",
    "ratios": {"ours / theirs": ratio(0.1, 0.2, 0.3)},
    "rows": [
        {"loop": loop, "rate_hz": 500, "load": "idle", "p99_us": us}
        for loop, us in (("unichunk", 10.0), ("sleep", 100.0), ("openpi", {"not_measured": "no network"}))
    ],
}


def remake(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    """Make a page with a block of one benchmark anew."""
    monkeypatch.setattr(pages, "BLOCKS", {"jitter": (jitter_ratios,)})
    monkeypatch.setattr(sys, "argv", ["summary", "--results", str(folder), "--pages", str(folder / "page.md")])
    try:
        pages.main()
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


def test_pages_and_plots_are_made_from_stored_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, result = tmp_path / "page.md", tmp_path / "jitter.json"
    page.write_text("before\n<!-- results: jitter_ratios -->\nold\n<!-- end of results -->\nafter\n")
    result.write_text(json.dumps(JITTER))
    assert remake(monkeypatch, tmp_path) == 0
    made = page.read_text()
    assert made == (
        "before\n<!-- results: jitter_ratios -->\n| ratio | median (95 %) |\n|---|---|\n"
        "| ours / theirs | 0.2 (0.1 to 0.3) |\n<!-- end of results -->\nafter\n"
    )
    (plot,) = (tmp_path / "plots").iterdir()
    assert plot.read_text().startswith("<svg")
    assert "openpi" not in plot.read_text()
    assert remake(monkeypatch, tmp_path) == 0
    assert page.read_text() == made
    # Whatever is wrong: one line, and the page stays.
    unknown = made.replace("jitter_ratios", "no_such_block")
    page.write_text(unknown)
    assert remake(monkeypatch, tmp_path) == 2
    assert page.read_text() == unknown
    page.write_text(made)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert remake(monkeypatch, tmp_path) == 2
    result.write_text("{}")
    assert remake(monkeypatch, tmp_path) == 2
    for words, line in zip(
        ("no_such_block", "matplotlib", str(result)), capsys.readouterr().err.splitlines(), strict=True
    ):
        assert words in line
    assert page.read_text() == made


def test_a_method_that_lacks_a_task_has_no_mean() -> None:
    cells = [("naive", "catch", 0.2), ("naive", "land", 0.6), ("rtc", "land", 0.9)]
    rows = [
        {"method": m, "task": t, "chunk": 8, "delay": 4, "delay_kind": "fixed", "success": s, "episodes": 2048}
        for m, t, s in cells
    ]
    machine = {"processor": "p", "cores": 2, "python": "3"}
    table = async_main({"rows": rows, "machine": machine, "date": "2026-01-01"})
    assert "| `naive` | 0.20 | 0.60 | **0.40** |" in table
    assert "| `rtc` | - | 0.90 | - |" in table


def test_a_report_without_results_is_still_a_page() -> None:
    from unichunk.benchmarks.summary.report import report_page

    summary = {"date": "2026-01-01", "quick": True, "machine": {"cores": 2}, "changes": []}
    page = report_page(summary, [Outcome("ik", 1.0, "wrote no result", "", None)])
    assert "not measured: wrote no result" in page
