"""`unichunk bench`: a benchmark by its name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from unichunk.server import command_line
from unichunk.server.bench_command import Bench, benchmark_names, benchmark_of


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unichunk.server.command_line", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_all_benchmarks_have_a_name_and_their_parts_have_none() -> None:
    names = benchmark_names()
    assert {"control_tick", "follow", "ik", "injected_latency"} <= set(names)
    assert not {"machine", "samples", "ik_targets", "background_load", "__init__"} & set(names)
    assert names == sorted(names)


def test_names_are_found_without_importing_anything() -> None:
    script = (
        "import sys, json; from unichunk.server.bench_command import benchmark_names; names = benchmark_names(); "
        "print(json.dumps([len(names), [m for m in sys.modules if m.startswith('unichunk.benchmarks')]]))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    count, imported = json.loads(result.stdout)
    assert count >= 7
    assert imported == []


def test_without_a_name_all_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["unichunk", "bench"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines() == benchmark_names()


def test_an_unknown_name_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["unichunk", "bench", "kinematics", "--help"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 3
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("unichunk bench: unknown benchmark 'kinematics': expected one of ablation, ")


@pytest.mark.parametrize("name", ["machine", "../server/run_command", "ik.py", "__init__"])
def test_only_benchmarks_are_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert Bench(name)() == 3
    assert repr(name) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["bench"], None),
        (["bench", "--help"], None),
        (["run", "bench", "ik"], None),
        (["bench", "ik"], Bench("ik")),
        (["bench", "ik", "--help", "--", "x"], Bench("ik", ("--help", "--", "x"))),
    ],
)
def test_what_follows_the_name_is_the_benchmarks(arguments: list[str], expected: Bench | None) -> None:
    assert benchmark_of(arguments) == expected


def test_the_benchmark_gets_its_arguments_and_its_exit_status_is_passed_on() -> None:
    helped = run("bench", "ik", "--help")
    assert helped.returncode == 0
    assert "--peer-targets" in helped.stdout
    refused = run("bench", "ik", "--targets", "0")
    assert refused.returncode == 1
    assert refused.stderr == "unichunk bench ik: --targets 0: expected at least 1\n"
    assert run("bench", "ik", "--no-such-option").returncode == 2
