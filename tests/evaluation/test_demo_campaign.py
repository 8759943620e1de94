"""The demonstration from its plan to its report, with as few trials as exercise everything."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from unichunk.server.eval_demo_command import EvalDemo
from unichunk.server.evaluation.demo.characters import CHARACTERS
from unichunk.server.evaluation.demo.outcome import read_analysis
from unichunk.server.evaluation.errors import Tampered
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

TRIALS = 2
CELLS = 2 * 3


@pytest.mark.simulator
def test_a_whole_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    status = EvalDemo(folder, trials=TRIALS)()
    said, problems = capsys.readouterr()
    assert status == 0, problems
    verified = verify(folder)
    assert (verified.scored, verified.opened, verified.commitment_opened) == (TRIALS * CELLS, True, True)
    # Each of two operators spoils their fifth trial, whatever drives, unless the other one took them.
    assert verified.voids >= 1
    analysis = read_analysis(folder)
    assert [cell.success.trials for cell in analysis.success] == [2 * TRIALS] * len(CHARACTERS)
    assert analysis.agreement
    assert analysis.blinding is not None
    assert analysis.preferences is not None
    for name in CHARACTERS:
        assert f"\n  {name} " in said
    report = folder / "report"
    for name in ("report.html", "report.pdf", "trials.csv", "trials.parquet", "lerobot"):
        assert (report / name).exists()
    check_episodes(folder, verified.scored + verified.voids)
    check_tampering(folder)


def check_episodes(folder: Path, count: int) -> None:
    """Each trial has pictures, and nothing in its record says which policy it was."""
    episodes = sorted((folder / "episodes").iterdir())
    assert len(episodes) == count
    for episode in episodes:
        assert list((episode / "frames" / "third_person").glob("*.jpg"))
        document = json.loads((episode / "episode.json").read_text())
        assert not any(name in json.dumps(document) for name in CHARACTERS)


def check_tampering(folder: Path) -> None:
    """Whoever has the file can change it, triggers or not; and is found out."""
    database = sqlite3.connect(folder / "evaluation.db")
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")
    changed = database.execute("UPDATE scores SET success = 1 - success WHERE trial = (SELECT min(trial) FROM scores)")
    assert changed.rowcount == 1
    database.commit()
    database.close()
    with pytest.raises(Tampered):
        verify(folder)
