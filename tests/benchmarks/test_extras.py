"""Benchmarks where an extra is not installed, and what they import before they can say so."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import pytest

from tests.pyproject import pyproject
from unichunk.benchmarks.harness.extras import MODULES, missing_extras, need_extras
from unichunk.server.bench_command import benchmark_names
from unichunk.server.compile_command import NEEDED

IMPORT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
for name in sys.argv[2].split(","):
    __import__(f"unichunk.benchmarks.{name}")
"""


def test_extras_bring_what_is_looked_for() -> None:
    extras = pyproject()["project"]["optional-dependencies"]
    for extra, modules in MODULES.items():
        # Neither the project's other extras nor what only old Pythons need.
        wanted = [one for one in extras[extra] if not one.startswith("unichunk[") and ";" not in one]
        names = {re.split(r"[>=<]", requirement)[0].replace("-", "_") for requirement in wanted}
        assert names == set(modules)
    assert set(MODULES["compile"]) == set(NEEDED)


def test_what_is_missing_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert missing_extras() == ""
    assert missing_extras("compile") == (
        "needs the extra compile (onnx is not installed): pip install 'unichunk[compile]'"
    )
    with pytest.raises(SystemExit) as ended:
        need_extras("caching", "compile")
    assert ended.value.code == 3
    assert capsys.readouterr().err == f"unichunk bench caching: {missing_extras('compile')}\n"


def test_every_benchmark_can_be_imported_without_any_extra() -> None:
    extras = (*sum(MODULES.values(), ()), "daqp", "matplotlib", "mink", "pink", "torch")
    command = [sys.executable, "-c", IMPORT, ",".join(extras), ",".join(benchmark_names())]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("ablation", "--quick"), "sim"),
        (("caching", "--quick"), "compile"),
        (("compile_checkpoint", "--quick"), "compile"),
        (("embodiments", "--quick"), "sim"),
        (("engines", "--quick"), "compile"),
        (("evaluation", "--quick"), "evaluation"),
        (("fleet", "--quick"), "sim"),
        (("follow", "--quick"), "sim"),
        (("gating_variance", "--quick"), "compile"),
        (("injected_latency", "--quick"), "sim"),
        (("latency", "--random", "tiny", "--robot", "stand-in"), "compile"),
        (("network", "--quick"), "server"),
        (("project", "--quick"), "compile"),
        (("serve", "--quick"), "server"),
        (("twins", "--quick"), "sim"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_a_benchmark_whose_extra_is_missing_says_so_in_one_line(
    arguments: tuple[str, ...], extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = import_module(f"unichunk.benchmarks.{arguments[0]}")
    monkeypatch.setattr(sys, "argv", [*arguments])
    monkeypatch.setitem(sys.modules, MODULES[extra][-1], None)
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 3
    said = capsys.readouterr()
    assert said.out == ""
    line = said.err.splitlines()[-1]
    assert line.startswith(f"unichunk bench {arguments[0]}: ")
    assert line.endswith(f"pip install 'unichunk[{extra}]'")
