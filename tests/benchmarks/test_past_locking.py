"""The comparison beyond plain locking: what it runs, what it makes of the runs, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.benchmarks import past_locking
from unichunk.benchmarks.past_locking import Options, complaints, jobs
from unichunk.benchmarks.past_locking_plan import Arm, Episode, Job, check_arm, parse_arm, shipped_arms
from unichunk.benchmarks.past_locking_summary import (
    ALL,
    comparison_table,
    comparisons,
    ratios,
    rows,
    select,
    success_table,
)
from unichunk.embodiments.sim.intervals import wilson
from unichunk.runtime.errors import BundleError, UnichunkError

if TYPE_CHECKING:
    from pathlib import Path

NAIVE, LOCKED = shipped_arms("so101")
LABELS = ["naive", "locked"]


def some() -> list[Episode]:
    """Seven paths with both blocks at two delays; locked is 2 mm better and saves every second path at d = 6."""
    episodes = []
    for delay in (2, 6):
        for seed in range(201, 208):
            for block in ("red", "blue"):
                for arm in LABELS:
                    lost = delay == 6 and (arm == "naive" or seed % 2 == 0)
                    error = 20.0 + delay + seed - 201 + 4.0 * (block == "red") - 2.0 * (arm == "locked")
                    episodes.append(
                        Episode(arm, delay, block, seed, not lost, 0.4 if lost else 0.9, error, 0.02, 0.01, 10, 3)
                    )
    return episodes


def test_rates_have_wilsons_interval_and_all_runs_of_a_cell() -> None:
    found = {(row["delay"], row["arm"]): row for row in rows(some())}
    assert list(found) == [(2, "naive"), (2, "locked"), (6, "naive"), (6, "locked")]
    cell = found[6, "locked"]
    assert (cell["episodes"], cell["success"]) == (14, pytest.approx(8 / 14))
    assert (cell["low"], cell["high"]) == wilson(8, 14)
    assert (cell["chunks"], cell["violations"]) == (140, 42)
    assert cell["error_mm"] == pytest.approx(20.0 + 6 + 3 + 2 - 2)


def test_arms_are_compared_on_the_same_paths_with_both_blocks_of_a_path_counted_once() -> None:
    found = {cell["delay"]: cell for cell in comparisons(some(), LABELS)}
    assert list(found) == [2, 6, ALL]
    assert {cell["paths"] for cell in found.values()} == {7}
    assert found[2]["error_mm"] == pytest.approx({"mean": -2.0, "low": -2.0, "high": -2.0})
    saved = [float(seed % 2) for seed in range(201, 208)]
    error = np.std(saved, ddof=1) / np.sqrt(7)
    mean = 4 / 7
    expected = {"mean": mean, "low": mean - 1.959964 * error, "high": mean + 1.959964 * error}
    assert found[6]["success"] == pytest.approx(expected, abs=1e-6)
    assert found[ALL]["success"]["mean"] == pytest.approx(mean / 2)
    by_label = ratios(some(), LABELS)
    assert list(by_label) == [f"error, d = {delay}: locked / naive" for delay in (2, 6, "all")]
    pairs = [(24.0 + seed - 2.0) / (24.0 + seed) for seed in range(7)]
    assert by_label["error, d = 2: locked / naive"].median == pytest.approx(np.median(pairs))


def test_the_tables_show_every_arm_and_delay() -> None:
    table = success_table(some(), LABELS)
    assert "d = 2" in table
    assert "| locked | 1.00" in table
    assert "| 6 | locked | +0.57 (+0.18 to +0.97)" in comparison_table(some(), LABELS)
    alone = select(some(), 2, "naive") + select(some(), 2, "locked")
    assert "(one path)" in comparison_table([one for one in alone if one.seed == 201], LABELS)


def test_every_path_meets_every_arm_and_delay_and_the_short_form_two_paths_and_one_delay() -> None:
    arms = (NAIVE, LOCKED)
    planned = jobs(Options(paths=3, delays=(2, 4), duration=10.0), arms)
    assert planned == [Job("so101", arms, seed, 10.0, (2, 4), 0) for seed in (201, 202, 203)]
    assert jobs(Options(quick=True), arms) == [Job("so101", arms, seed, 8.0, (2,), 0) for seed in (201, 202)]


@pytest.mark.simulator
def test_a_path_runs_with_both_blocks_and_only_what_is_not_told_goes_on_from_other_rows() -> None:
    from unichunk.benchmarks.past_locking_episodes import run_job

    stale = Arm("stale", "stale", LOCKED.bundle)
    found = run_job(Job("so101", (NAIVE, LOCKED, stale), 201, 1.0, (4,), 0))
    arms = ("naive", "locked", "stale")
    assert [(one.arm, one.block) for one in found] == [(arm, block) for block in ("red", "blue") for arm in arms]
    for locked, told_stale in zip(found[1::3], found[2::3], strict=True):
        assert replace(told_stale, arm="locked") == locked, "this policy asks for no other state"
    for one in found:
        assert one.chunks == 4
        assert one.violations == (4 if one.arm == "naive" else 0)
        assert 0.0 < one.error_mm < 300.0


@pytest.mark.parametrize("text", ["", "a", "a=locked", "a=locked:", "a=soft:x", "=locked:x", "locked:x"])
def test_an_arm_is_a_label_a_mode_and_a_bundle(text: str) -> None:
    with refused(UnichunkError, repr(text), "LABEL=MODE:BUNDLE"):
        parse_arm(text)


def test_an_arm_that_could_not_run_is_refused() -> None:
    arm = parse_arm(f"mine=locked:{LOCKED.bundle}")
    assert arm == Arm("mine", "locked", LOCKED.bundle)
    assert check_arm(arm, "so101", 0, 12) == "generalist"
    with refused(BundleError, "drives so101", "not fr3"):
        check_arm(arm, "fr3", 0, 4)
    with refused(BundleError, "13 ticks", "at most 12"):
        check_arm(arm, "so101", 0, 13)
    with refused(BundleError, "7 refinement rounds"):
        check_arm(arm, "so101", 7, 4)
    with refused(BundleError, "guided"):
        check_arm(replace(arm, mode="guided"), "so101", 0, 4)
    with refused(UnichunkError, "unitree", "--arms"):
        shipped_arms("unitree")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (Options(delays=(2, -1)), "--delays -1"),
        (Options(delays=()), "--delays"),
        (Options(paths=0), "--paths 0"),
        (Options(workers=0), "--workers 0"),
        (Options(duration=4.9), "--duration 4.9"),
        (Options(arms=("a=locked:x", "a=naive:x")), "a, a"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_a_line_each(options: Options, word: str) -> None:
    (line,) = complaints(options)
    assert word in line
    assert "expected" in line


def test_a_whole_comparison_becomes_a_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: Any) -> list[Episode]:
        return some()

    monkeypatch.setattr(past_locking, "_run", measured)
    monkeypatch.setattr("sys.argv", ["past_locking", "--delays", "2", "6", "--json", str(tmp_path / "found.json")])
    assert past_locking.main() == 0
    assert "| all | locked |" in capsys.readouterr().out
    told = json.loads((tmp_path / "found.json").read_text())
    assert (told["benchmark"], told["embodiment"]) == ("past_locking", "so101")
    assert [arm["mode"] for arm in told["arms"]] == ["naive", "locked"]
    assert str(LOCKED.bundle) not in json.dumps(told), "no paths of this machine"
    assert len(told["episodes"]) == 56
    assert len(told["comparisons"]) == 3
    monkeypatch.setattr("sys.argv", ["past_locking", "--arms", "a=locked:/nowhere"])
    assert past_locking.main() == 3
    assert "/nowhere" in capsys.readouterr().err
