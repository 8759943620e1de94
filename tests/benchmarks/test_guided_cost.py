"""The cost of guidance: what is refused, and a run on a tiny bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from unichunk.benchmarks import guided
from unichunk.benchmarks.guided import Options, complaints, random_bundle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": ()}, "--steps, --rounds: expected at least one of each"),
        ({"steps": (4, 0)}, "--steps: expected at least 1, got 0"),
        ({"rounds": (-1,)}, "--rounds: expected at least 0, got -1"),
        ({"repetitions": 0}, "--repetitions: expected at least 1, got 0"),
        ({"threads": 0}, "--threads: expected at least 1, got 0"),
    ],
)
def test_options_that_make_no_sense(changes: dict[str, Any], words: str) -> None:
    assert complaints(Options(**changes)) == words
    assert complaints(Options()) == ""


def test_a_bundle_is_measured_guided_and_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = random_bundle(tmp_path, "tiny", (2,), 0)
    found = tmp_path / "found.json"
    arguments = ["--policy", str(bundle), "--rounds", "0", "--repetitions", "2", "--json", str(found)]
    monkeypatch.setattr("sys.argv", ["guided", *arguments])
    assert guided.main() == 0
    told = json.loads(found.read_text())
    (row,) = told["rows"]
    assert (told["benchmark"], row["policy"], row["steps"], row["refinement_rounds"]) == ("guided", "random_tiny", 2, 0)
    assert min(row["prefix_ms"], row["chunk_ms"], row["guided_chunk_ms"]) > 0
    assert list(told["ratios"]) == [
        "guided / plain chunk: random_tiny, K = 2, N = 0",
        "guided / plain inference: random_tiny, K = 2, N = 0",
    ]
    assert "| random_tiny | 2 | 0 |" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["guided", "--policy", str(bundle), "--rounds", "3"])
    assert guided.main() == 3
    assert "no graph with 2 steps and 3 refinement rounds" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["guided", "--repetitions", "0"])
    assert guided.main() == 2
