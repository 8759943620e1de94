"""The benchmark of latency as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.stages import stage

if TYPE_CHECKING:
    from pathlib import Path


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unichunk.benchmarks.latency", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.processes
def test_a_short_run_measures_everything_and_can_be_compared_with_itself(tmp_path: Path) -> None:
    json_path, html_path = tmp_path / "latency.json", tmp_path / "latency.html"
    options = ["--random", "tiny", "--views", "1", "--steps", "2", "--rounds", "0", "1", "--robot", "stand-in"]
    options += ["--quick", "--repeats", "60", "--visits", "2"]
    ended = bench(*options, "--json", str(json_path), "--html", str(html_path))
    assert ended.returncode == 0, ended.stderr
    document = json.loads(json_path.read_text())
    rows = {(row["case"], row["stage"]): row for row in document["rows"]}
    for case in ("V=1 K=2 N=0", "V=1 K=2 N=1"):
        for name in stage.MEANING:
            row = rows[case, name]
            if name == stage.HOST_TO_DEVICE:
                assert not is_measured(row["p50"])
            else:
                assert 0 <= row["max"] < 60_000
        parts = sum(rows[case, name]["p50"] for name in (stage.PREFIX, stage.DENOISE, stage.DECODE))
        assert parts < 2 * rows[case, stage.CHUNK]["max"]
        assert document["fresh_starts"][case]["load_s"]["p50"] > 0
        assert document["fresh_starts"][case]["rss_loaded_mb"]["p50"] > 10
    assert rows["V=1 K=2 N=1", "refinement round 1"]["derived_from"] == ["V=1 K=2 N=1", "V=1 K=2 N=0"]
    assert "stand-in" in document["settings"]["source"]
    assert set(document["ratios"]) == {"whole chunk, N=1 / N=0, V=1 K=2"}
    assert all(case["chunks"] == 10 and case["warm_up"]["inferences"] >= 2 for case in document["cases"])
    assert "| capture |" in ended.stdout
    assert html_path.read_text().count("<svg") == 2
    compared = bench("--compare", str(json_path), str(json_path))
    assert compared.returncode == 0
    assert "V=1 K=2 N=1, whole chunk" in compared.stdout


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("--device", "1"), 2), (("--policy", "/nowhere"), 3), (("--compare", "/nowhere"), 3), (("--views", "9"), 3)],
)
def test_what_cannot_be_measured_is_refused_in_one_line(arguments: tuple[str, ...], status: int) -> None:
    ended = bench("--robot", "stand-in", *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("unichunk bench latency: ")
