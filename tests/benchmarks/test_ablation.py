"""The ablation of MPG and UAC: what it runs, what it makes of the runs, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.benchmarks import ablation
from unichunk.benchmarks.ablation import Options, chosen, complaints, saturated
from unichunk.benchmarks.ablation_plan import CATEGORIES, METHODS, NEITHER, Job, Setting, delays_of, jobs
from unichunk.benchmarks.ablation_summary import (
    ALL,
    difference,
    difference_table,
    pooled,
    ratios,
    rows,
    select,
    success_table,
)
from unichunk.embodiments.catalogue import embodiment_names
from unichunk.embodiments.sim.conditions import CONDITIONS
from unichunk.embodiments.sim.intervals import wilson
from unichunk.runtime.errors import BundleError
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from unichunk.benchmarks.ablation_episodes import Episode

BUNDLE = shipped_bundles()[0]
UAC = next(method for method in METHODS if method.uac and not method.mpg)


def made(**changes: Any) -> Episode:
    episodes = pytest.importorskip("unichunk.benchmarks.ablation_episodes")
    values = {
        "category": "gripper",
        "robot": "so101",
        "condition": "clean",
        "posture": "half",
        "block": "red",
        "seed": 201,
        "latency_ms": 150.0,
        "delay": 4,
        "mpg": False,
        "uac": False,
        "success": True,
        "on_target": 0.9,
        "error_mm": 20.0,
        "seam_step_rad": 0.1,
        "seam_kink_rad": 0.02,
        "inside_kink_rad": 0.01,
        "roughness_rad_s2": 3.0,
        "chunks": 10,
        "violations": 10,
    }
    episode: Episode = episodes.Episode(**(values | changes))
    return episode


def some() -> list[Episode]:
    """Two categories, four paths each with both blocks, all methods; UAC halves the kinks and costs 2 mm."""
    random = np.random.default_rng(0)
    episodes = []
    for category, robot in (("gripper", "so101"), ("moving camera", "d1")):
        for seed in range(201, 205):
            for block in ("red", "blue"):
                error, kink = random.uniform(10.0, 30.0), random.uniform(0.01, 0.04)
                for method in METHODS:
                    episodes.append(
                        made(
                            category=category,
                            robot=robot,
                            seed=seed,
                            block=block,
                            mpg=method.mpg,
                            uac=method.uac,
                            success=seed != 204 or not method.uac,
                            error_mm=error + 2.0 * method.uac,
                            seam_kink_rad=kink * (0.5 if method.uac else 1.0),
                            violations=0 if method.uac else 10,
                        )
                    )
    return episodes


def test_the_methods_are_both_one_of_them_and_neither():
    assert {(method.mpg, method.uac) for method in METHODS} == {(a, b) for a in (False, True) for b in (False, True)}
    assert (NEITHER.mpg, NEITHER.uac) == (False, False)
    assert {method.rounds for method in METHODS} == {0, 2}


def test_categories_are_of_robots_that_the_policy_drives_and_conditions_that_exist():
    robots = {setting.robot for category in CATEGORIES for setting in category.settings}
    assert robots <= set(embodiment_names())
    assert BUNDLE in shipped_bundles(*robots)
    assert {setting.condition for category in CATEGORIES for setting in category.settings} == {
        condition.name for condition in CONDITIONS
    }
    assert len({category.name for category in CATEGORIES}) == len(CATEGORIES)


@pytest.mark.parametrize("episodes", [1, 2, 7, 32])
def test_every_category_gets_the_episodes_that_were_asked_for_on_the_same_paths(episodes):
    planned = jobs(CATEGORIES, BUNDLE, (150.0, 300.0), episodes, 12.0)
    for category in CATEGORIES:
        ours = [job for job in planned if job.category == category.name]
        assert episodes <= 2 * len(ours) < episodes + 2 * len(category.settings)
        seeds = {setting: [job.seed for job in ours if job.setting == setting] for setting in category.settings}
        assert len({tuple(some) for some in seeds.values()}) == 1
    assert len(set(planned)) == len(planned)


def test_delays_are_those_that_the_runtime_would_choose_and_stop_where_training_did():
    so101, g1 = (delays_of(robot, BUNDLE, (150.0, 300.0)) for robot in ("so101", "g1_o6"))
    assert [delay.ticks for delay in so101] == [delay.wanted for delay in so101] == [4, 7]
    assert [delay.wanted for delay in g1] == [9, 16]
    assert [delay.ticks for delay in g1] == [9, 12]
    job = Job("two hands", Setting("g1_o6"), BUNDLE, 201, 12.0, g1)
    assert saturated([job, replace(job, seed=202)]) == ["g1_o6: 300 ms ask for d = 16; 12 is the most"]


def test_a_policy_that_does_not_drive_a_robot_is_refused():
    with refused(BundleError, "so101", "not d1"):
        delays_of("d1", BUNDLE.parent / "so101_follow", (150.0,))


def test_the_short_form_has_every_category():
    quick = chosen(Options(quick=True))
    assert [category.name for category in quick] == [category.name for category in CATEGORIES]
    assert all(len(category.settings) == 1 for category in quick)
    assert chosen(Options(categories=("two hands",))) == [CATEGORIES[2]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(categories=("juggling",)), "juggling"),
        (Options(categories=()), "at least one"),
        (Options(latencies=(150.0, -1.0)), "-1"),
        (Options(latencies=(float("nan"),)), "nan"),
        (Options(latencies=(float("inf"),)), "inf"),
        (Options(episodes=0), "--episodes 0"),
        (Options(workers=0), "--workers 0"),
        (Options(duration=4.0), "--duration 4"),
        (Options(duration=float("inf")), "--duration inf"),
    ],
)
def test_options_that_make_no_sense_are_complained_about(options, words):
    (line,) = complaints(options)
    assert words in line
    assert "expected" in line


def test_sensible_options_are_not():
    assert complaints(Options()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--json", "/no/such/folder/result.json"], 2, "--json"),
        (["--episodes", "0"], 2, "--episodes 0"),
        (["--policy", "/no/such/bundle"], 3, "/no/such/bundle"),
        (["--policy", str(BUNDLE.parent / "so101_follow")], 3, "not fr3_inspire"),
    ],
)
def test_refusals_are_one_line_before_anything_runs(arguments, status, words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ablation", *arguments])
    monkeypatch.setattr(ablation, "_run", lambda *_: pytest.fail("something ran"))
    try:
        ended = ablation.main()
    except SystemExit as refusal:
        ended = refusal.code
    said = capsys.readouterr()
    assert ended == status
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert words in line


def test_rows_are_cells_with_rates_intervals_and_means():
    cells = rows(some())
    assert len(cells) == 2 * 4
    assert all(cell["episodes"] == 8 for cell in cells)
    uac = next(cell for cell in cells if cell["uac"] and not cell["mpg"] and cell["robot"] == "d1")
    assert {"category", "condition", "delay", "error_mm", "on_target", "seam_step_rad"} <= set(uac)
    assert uac["success"] == 0.75
    assert (uac["low"], uac["high"]) == wilson(6, 8)
    assert (uac["chunks"], uac["violations"]) == (80, 0)


def test_categories_are_pooled_and_all_holds_all_of_them():
    cells = pooled(some())
    assert [cell["category"] for cell in cells] == 4 * ["gripper"] + 4 * ["moving camera"] + 4 * [ALL]
    assert [cell["episodes"] for cell in cells] == 8 * [8] + 4 * [16]
    first, last = (select(some(), name, 150.0, NEITHER) for name in ("gripper", ALL))
    assert (len(first), len(last)) == (8, 16)
    table = success_table(cells)
    assert len(table.splitlines()) == 2 + 12
    assert "| gripper | 150 | UAC | 6/8 (0.41 to 0.93) |" in table


def test_differences_are_of_the_same_paths_and_blocks_on_one_path_count_once():
    episodes = some()
    mean, error = difference(episodes, ALL, 150.0, UAC, "error_mm")
    assert (mean, error) == pytest.approx((2.0, 0.0), abs=1e-9)
    mean, error = difference(episodes, "gripper", 150.0, UAC, "success")
    assert mean == pytest.approx(-0.25)
    assert error == pytest.approx(np.std([0, 0, 0, -1], ddof=1) / 2)
    table = difference_table([episode for episode in episodes if episode.seed == 201])
    assert "| gripper | 150 | UAC | +0.00 (one path) | +0.000 (one path) | +2.00 (one path) |" in table
    assert "| all | 150 | MPG | +0.00 +- 0.00 |" in table


def test_a_path_that_several_categories_share_counts_once():
    episodes = some()
    again = [replace(one, category="new instruction", error_mm=one.error_mm + 1.0) for one in episodes]
    assert ratios([*episodes, *again])["error at 150 ms: UAC / neither"].pairs == 8
    assert difference([*episodes, *again], ALL, 150.0, UAC, "success") == difference(
        episodes, ALL, 150.0, UAC, "success"
    )


def test_ratios_are_to_neither_on_the_same_paths():
    found = ratios(some())
    kinks = found["kink at seams at 150 ms: UAC / neither"]
    assert (kinks.median, kinks.low, kinks.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (kinks.pairs, kinks.better) == (8, "lower")
    assert found["error at 150 ms: MPG / neither"].median == pytest.approx(1.0)
    assert found["error at 150 ms: MPG + UAC / neither"].low > 1.0
    assert len(found) == 3 * 3
    assert not any("kink" in label for label in ratios([replace(one, seam_kink_rad=0.0) for one in some()]))


@pytest.mark.simulator
def test_a_job_runs_all_methods_alike_and_only_uac_continues_what_ran():
    episodes = pytest.importorskip("unichunk.benchmarks.ablation_episodes")
    job = Job("gripper", Setting("so101", "occlusion"), BUNDLE, 203, 1.5, delays_of("so101", BUNDLE, (150.0,)))
    first = episodes.run_job(job)
    assert [(one.block, one.mpg, one.uac) for one in first] == [
        (block, method.mpg, method.uac) for block in ("red", "blue") for method in METHODS
    ]
    assert all(one.chunks == 7 and one.delay == 4 for one in first)
    assert all(one.violations == (0 if one.uac else one.chunks) for one in first)
    assert len({one.error_mm for one in first}) == len(first)
    # Whatever ran before in this process: the same path, disturbance and noise again.
    assert episodes.run_job(job) == first
