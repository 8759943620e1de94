"""What every benchmark owes: help, a short form, a document, and a refusal before it measures what it cannot write."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from unichunk.server.bench_command import benchmark_names

if TYPE_CHECKING:
    from pathlib import Path

NAMES = benchmark_names()
LIMIT_S = 15
"""No benchmark may begin to measure here; one that does is stopped."""

# All of them in one process, which is not this one: some set theirs up before they load anything.
RUN_ALL = """
import contextlib, io, json, runpy, signal, sys

def stop(*_):
    raise TimeoutError("still running")

signal.signal(signal.SIGALRM, stop)
results = {}
names, arguments, limit = json.loads(sys.argv[1])
for name in names:
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = [name, *arguments]
    signal.alarm(limit)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_module(f"unichunk.benchmarks.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException as error:
        status = repr(error)
    finally:
        signal.alarm(0)
    results[name] = [status, out.getvalue(), err.getvalue()]
    print(json.dumps([name, results[name]]), flush=True)
"""


def run_all(*arguments: str) -> dict[str, Any]:
    """Exit status, standard output and standard error of every benchmark with these arguments."""
    told = json.dumps([NAMES, arguments, LIMIT_S])
    ended = subprocess.run([sys.executable, "-c", RUN_ALL, told], capture_output=True, text=True, check=False)
    results = dict(map(json.loads, ended.stdout.splitlines()))
    assert list(results) == NAMES, f"{ended.returncode}: {ended.stderr[-2000:]}"
    return results


@pytest.fixture(scope="module")
def helped() -> dict[str, Any]:
    return run_all("--help")


@pytest.fixture(scope="module")
def told_to_write_nowhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("results") / "missing" / "result.json"
    return path, run_all("--quick", "--json", str(path))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_help_a_short_form_and_a_document(helped, name):
    status, said, complained = helped[name]
    assert (status, complained) == (0, "")
    for word in ("--json", "--quick"):
        assert word in said


@pytest.mark.parametrize("name", NAMES)
def test_a_document_that_could_not_be_written_is_refused_before_anything_is_measured(told_to_write_nowhere, name):
    path, results = told_to_write_nowhere
    status, said, complained = results[name]
    assert (status, said) == (2, "")
    (line,) = complained.splitlines()
    assert "--json" in line
    assert str(path) in line
