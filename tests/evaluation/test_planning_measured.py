"""The benchmark of randomizations agrees with what can be computed by hand."""

from __future__ import annotations

import math

import pytest

from unichunk.benchmarks.evaluated.randomizations import (
    SORTED,
    STOPS,
    Size,
    balance,
    draw,
    drift,
    predictability,
    sorted_schedule,
)
from unichunk.server.evaluation.planning.campaign import Randomization

BLOCKS, GROUPED, DRAW = Randomization
SIZE = Size(layouts=2, policies=3, replicates=6)


@pytest.mark.parametrize("method", [BLOCKS, GROUPED])
def test_of_a_block_the_last_policy_is_certain_and_the_others_are_even(method: Randomization) -> None:
    row = predictability(method, SIZE, draw(method, SIZE, 100))
    assert row["certain"] == pytest.approx(1 / 3)
    assert row["guessed"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3, abs=0.03)
    assert row["blinded"] == pytest.approx(1 / 3)


def test_the_papers_draw_tells_less_of_what_comes_and_balances_nothing() -> None:
    schedules = draw(DRAW, SIZE, 100)
    row = predictability(DRAW, SIZE, schedules)
    assert 1 / 3 < row["guessed"] < 0.55
    assert row["certain"] < 0.25
    gaps = {
        method: [each["cell_gap"] for each in balance(method, SIZE, draw(method, SIZE, 50))] for method in Randomization
    }
    assert max(gaps[BLOCKS]) <= 1
    assert max(gaps[GROUPED]) <= 1
    assert min(gaps[DRAW]) > 1.5
    assert len(gaps[DRAW]) == len(STOPS)


def test_drift_is_a_bias_without_randomization_and_next_to_nothing_with_blocks() -> None:
    falls, breaks, _ = drift(SORTED, SIZE, [sorted_schedule(SIZE)])
    assert falls["bias"] == pytest.approx(0.4 / 3)
    assert breaks["bias"] == pytest.approx(0.4 / 2)
    assert falls["chance"] == pytest.approx(math.sqrt(2 * 0.25 / 12))
    for method, most in ((BLOCKS, 0.04), (GROUPED, 0.04), (DRAW, 0.2)):
        for row in drift(method.value, SIZE, draw(method, SIZE, 100)):
            assert row["rms"] < most
            assert abs(row["bias"]) < 4 * row["rms"] / math.sqrt(100) + 1e-9
