"""Tables and plots of blinded evaluation, from documents that say little."""

from __future__ import annotations

from typing import Any

from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.summary.drawings import drawings_of
from unichunk.benchmarks.summary.evaluated_blinding import evaluation_answers, evaluation_leaks, evaluation_orders
from unichunk.benchmarks.summary.evaluated_records import evaluation_crashes, evaluation_records, evaluation_tampering
from unichunk.benchmarks.summary.evaluated_tests import (
    drifting_case,
    evaluation_coverage,
    evaluation_drift,
    evaluation_levels,
    evaluation_others,
    evaluation_power,
    evaluation_tests,
)

HERE = {"machine": {"processor": "P", "cores": 2, "python": "3.11"}, "date": "2026-01-01"}
TESTS = (
    "Cochran-Mantel-Haenszel, 4 policies",
    "Cochran-Mantel-Haenszel, any of 6 pairs (Holm)",
    "Barnard, first against last",
    "Fisher, first against last",
    "anytime-valid, any of 6 pairs at any time (Holm)",
)


def row(
    section: str, case: str, test: str, per_arm: int, value: float, error: float = 0.0, **more: Any
) -> dict[str, Any]:
    known = {"section": section, "case": case, "test": test, "per_arm": per_arm, "nominal": 0.05, "peers": None}
    return {**known, "value": value, "standard_error": error, "remark": "", **more}


def operating(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"benchmark": "evaluation", "operating": list(rows), **HERE}


def test_what_is_above_its_level_by_more_than_chance_is_marked() -> None:
    table = evaluation_levels(
        operating(
            row("no effect", "a", "t", 20, 0.056, 0.0034),
            row("no effect", "a", "t", 50, 0.058, 0.0034),
            row("no effect", "a", "t", 100, 0.0504),
            row("no effect", "a", "other", 100, 0.0534),
            row("power", "a", "t", 20, 0.9),
        )
    )
    assert table.splitlines()[2:] == [
        "| a | t | 0.056 ± 0.003 | **0.058 ± 0.003** | 0.050 |",
        "| a | other | - | - | **0.053** |",
    ]


def test_power_is_never_marked_and_coverage_where_it_is_too_small() -> None:
    assert "| a | t | 0.900 | - | - |" in evaluation_power(operating(row("power", "a", "t", 20, 0.9)))
    rows = [row("coverage", "a", name, 20, value, nominal=0.95) for name, value in (("t", 0.9498), ("u", 0.93))]
    table = evaluation_coverage(operating(*rows))
    assert "| a | t | 0.950 | - | - |" in table
    assert "| a | u | **0.930** | - | - |" in table


def test_drift_has_a_column_for_each_order_that_was_simulated() -> None:
    rows = [
        row("drift", drifting_case(1, order), "t", 20, value)
        for order, value in (("replicate blocks", 0.02), ("one policy after another", 0.6))
    ]
    rows += [row("drift", drifting_case(5, "layout grouped"), "t", 100, 0.04)]
    first, second = evaluation_drift(operating(*rows)).split("\n\n")
    assert first.splitlines()[0] == "| 1 layout, N = 20 | one policy after another | replicate blocks |"
    assert first.splitlines()[2:] == ["| t | **0.600** | 0.020 |"]
    assert second.splitlines()[2:] == ["| t | 0.040 |"]


def test_the_short_table_takes_each_number_from_its_section() -> None:
    fisher = "Fisher"
    rows = [
        row("no effect", "5 layouts, success .1 to .9", "Fisher, pooled", 100, 0.011, 0.002),
        row("drift", drifting_case(1, "replicate blocks"), "Fisher, first against last", 20, 0.012),
        row("peeking", "success 0.5, looking after every trial", fisher, 100, 0.3),
        row("peeking", "success 0.5, looking after every trial", fisher, 20, 0.1),
        row("power", "0.5 against 0.8, one layout", fisher, 50, 0.85),
    ]
    table = evaluation_tests(operating(*rows))
    assert "| Fisher | 0.011 ± 0.002 | 0.012 | **0.300** | - | 0.850 | - |" in table
    assert "| Barnard | - | - | - | - | - | - |" in table
    assert "no standard error is above 0.002; 2026-01-01" in table


def test_only_what_others_have_simulated_is_beside_theirs() -> None:
    rows = [row("power", "a", "t", 20, 0.4924, peers=0.49), row("power", "b", "t", 20, 0.3)]
    assert evaluation_others(operating(*rows)).splitlines()[2:] == ["| a | t | 20 | 0.492 | 0.49 |"]


def test_a_group_that_was_not_looked_at_leaves_a_dash() -> None:
    told = [
        {"scene": scene, "by": by, "trials": 45, "chance": 1 / 3, "accuracy": share, "p_permutation": p}
        for scene, by, share, p in (
            ("direct", "sizes", 1.0, 0.0025),
            ("direct", "times", 0.9, 0.01),
            ("proxy", "sizes", 1 / 3, 1.0),
        )
    ]
    table = evaluation_leaks({"leaks": {"told apart": told}, **HERE})
    assert "| direct | 1.00 (0.0025) | 0.90 (0.01) |" in table
    assert "| proxy | 0.33 (1) | - |" in table
    assert "(45 trials a line; chance is 0.33; P, 2 cores, CPython 3.11, 2026-01-01)" in table


def test_answers_are_beside_when_motion_began() -> None:
    answers = {
        "scene": "direct",
        "policy": "Slow",
        "answers": 9,
        "bytes": [7, 8],
        "greeting_bytes": [1],
        "error_bytes": [2],
    }
    times = {"response_ms_p50": 60.04, "response_ms_p95": 70.0, "response_ms_max": 80.0}
    onset = {"scene": "direct", "policy": "Slow", "answers_p50": 6.0}
    table = evaluation_answers({"leaks": {"answers": [{**answers, **times}], "onset": [onset]}})
    assert table.splitlines()[2:] == ["| direct | Slow | 9 | 7 or 8 | 1 | 2 | 60.0, 70.0, 80.0 | 6 |"]


def test_an_order_that_nobody_can_guess_at_has_its_bias_only() -> None:
    size = {"layouts": 1, "policies": 2, "replicates": 20}
    blocks, after = ({**size, "method": method} for method in ("replicate blocks", "policy after policy"))
    gaps = {"cell_gap": 1.0, "policy_gap": 0.5, "worst_policy_gap": 2.0}
    tables = {
        "predictability": [{**blocks, "guessed": 0.75, "certain": 0.5, "blinded": 0.5}],
        "balance": [{**blocks, "stopped_after": stop, **gaps} for stop in (0.26, 0.51)],
        "drift": [
            {**order, "drift": "falls", "rms": rms, "chance": 0.158} for order, rms in ((blocks, 0.002), (after, 0.2))
        ],
    }
    assert evaluation_orders({"randomizations": tables}).splitlines()[2:] == [
        "| 1 x 2 x 20 | replicate blocks | 0.75, 0.50, 0.50 | 1.0, 0.5, 2.0 | 0.002 | 0.158 |",
        "| 1 x 2 x 20 | policy after policy | - | - | 0.200 | 0.158 |",
    ]


def test_what_went_wrong_is_counted_and_named() -> None:
    counts = {"commands": 70, "campaigns": 1, "recorded": 2, "not_recorded": 3, "steps": 0}
    killed = {"database": "SQLite", "how": "the service", "kills": 40, "wrong": ["lost: one", "lost: two"], **counts}
    tampered = {"what": "swap", "cases": 35, "refused": 1, "found": 33, "missed": ["trials.id"]}
    document = {
        "crashes": [killed, {"database": "PostgreSQL", **not_measured("no pg_ctl")}],
        "tampering": [tampered, {**tampered, "what": "cut", "missed": []}],
    }
    short = evaluation_records(document)
    assert "| SQLite: the service | 40 times | 2 wrong |" in short
    assert "| PostgreSQL | - | not measured: no pg_ctl |" in short
    assert "| records and files (swap, cut) | 70 cases | 66 found, 2 refused by the tables, 1 missed |" in short
    crashes = evaluation_crashes(document)
    assert "| SQLite | the service | 40 | - | 70 | 1 | 2 | 3 | lost: one; lost: two |" in crashes
    assert "| PostgreSQL | not measured: no pg_ctl | - | - | - | - | - | - | - |" in crashes
    assert "| swap | 35 | 1 | 33 | trials.id |" in evaluation_tampering(document)


def test_plots_show_the_level_and_only_what_was_simulated() -> None:
    rows = [row("drift", drifting_case(1, "replicate blocks"), test, 20, 0.04) for test in TESTS]
    rows += [row("peeking", "success 0.5, looking after every trial", "Fisher", n, n / 400) for n in (100, 20)]
    drawn = drawings_of(operating(*rows))
    assert len(drawn) == 2
    for svg in drawn.values():
        assert "stroke-dasharray" in svg
    assert drawings_of({"benchmark": "evaluation", "tampering": []}) == {}
