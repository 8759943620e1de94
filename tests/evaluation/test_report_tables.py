"""CSV and Parquet: everything is in them, and nothing in them is a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.report_inputs import ODD_NOTES, small_results
from unichunk.server.evaluation.report.comma_separated import comma_separated, guarded
from unichunk.server.evaluation.report.parquet_table import write_trials
from unichunk.server.evaluation.report.records import Records, records

if TYPE_CHECKING:
    from pathlib import Path


FORMULAS = tuple("=+-@\t\r\n＝＋－＠")


@given(text=st.text() | st.sampled_from(["=1+1", " =1", "\t=1", "@x", "'=1", "-2", "＝1", "+1", "@SUM(A1)", "\n=1"]))
def test_free_text_is_no_formula_and_comes_back(text: str) -> None:
    written = comma_separated(Records("x", ("note", "n"), ((text, -1),)))
    [_, [note, amount]] = csv.reader(io.StringIO(written, newline=""))
    assert not note.lstrip(" ").startswith(FORMULAS)
    assert amount == "-1"
    back = note[1:] if note.startswith("'") else note
    assert back == text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def test_blanks_before_a_formula_help_nobody() -> None:
    assert guarded("  =1") == "'  =1"
    assert guarded("cup fell") == "cup fell"


def test_every_record_is_in_its_table() -> None:
    results = small_results()
    tables = {table.name: table for table in records(results)}
    assert set(tables) == {"trials", "voids", "second_scores", "guesses", "preferences", "deviations"}
    assert len(tables["trials"].rows) == len(results.trials)
    rows = list(csv.DictReader(io.StringIO(comma_separated(tables["trials"]), newline="")))
    assert rows[0]["note"] == "'" + ODD_NOTES[0]
    assert {row["success"] for row in rows} == {"0", "1"}
    assert rows[0]["started_at"] == "2023-11-14T22:13:20.000000Z"
    for table in tables.values():
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_parquet_has_types_and_texts_word_for_word(tmp_path: Path) -> None:
    results = small_results()
    write_trials(tmp_path / "trials.parquet", results)
    table = pq.read_table(tmp_path / "trials.parquet")
    assert table.column("note").to_pylist()[: len(ODD_NOTES)] == list(ODD_NOTES)
    assert table.column("success").to_pylist() == [trial.success for trial in results.trials]
    assert table.column("rubric").to_pylist() == [list(trial.rubric) for trial in results.trials]
    assert table.column("started_at").cast("int64").to_pylist()[1] == results.trials[1].started_at
    assert table.schema.metadata[b"commitment"].decode() == results.plan.commitment
    write_trials(tmp_path / "again.parquet", results)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "trials.parquet").read_bytes()
