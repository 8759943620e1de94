"""The check of the warning: what it trains and drives, what it makes of it, what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.benchmarks.async_control.methods import Request
from unichunk.benchmarks.async_control.training import Recipe
from unichunk.benchmarks.dependence import DRAWS, Options, complaints, demonstrations, dependences, ratios, row, table

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Player:
    """A policy that follows a ball it sees, by `gain`, or goes on from its prefix."""

    def __init__(self, gain: float) -> None:
        self._gain = gain
        self.policy = self

    def noise(self, random: np.random.Generator, count: int) -> Any:
        return random.standard_normal((count, 8, 1), dtype=np.float32)

    def sample(self, observations: Any, noise: Any, prefix: Any = None) -> Any:
        gain = 1.0 if prefix is None else self._gain
        rows = np.broadcast_to(gain * observations[:, 2, None, None], noise.shape).copy()
        if prefix is not None:
            rows[:, : prefix.shape[1]] = prefix
        return rows.astype(np.float32)


@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_the_measure_is_the_runtimes_over_moments_of_the_episodes(gain: float) -> None:
    random = np.random.default_rng(0)
    player: Any = Player(gain)
    asked = [
        Request(random.standard_normal((50, 7)).astype(np.float32), np.zeros((50, 8, 1), np.float32), 8, 3)
        for _ in range(4)
    ]
    found = dependences(player, asked, 0)
    assert len(found) == DRAWS
    assert found == pytest.approx([gain] * DRAWS, rel=1e-4)


def test_a_row_tells_success_and_dependence_of_a_policy_that_was_trained_for_it(tmp_path: Path) -> None:
    recipes = demonstrations(Recipe(episodes=40, steps=3, batch=8, width=8))
    assert [(one.exploration, one.prefix_noise) for one in recipes.values()] == [(0.3, 0.0), (0.0, 0.0), (0.0, 0.3)]
    rows = [row(name, recipe, 2, 8, tmp_path) for name, recipe in recipes.items()]
    for one in rows:
        assert (one["delay"], one["episodes"]) == (2, 8)
        assert 0.0 <= one["low"] <= one["dependence"] <= one["high"]
        assert len(one["draws"]) == DRAWS
    # Without a prefix there is no noise on it: naive execution of both is the same.
    assert rows[1]["success_naive"] == rows[2]["success_naive"]
    (label,) = ratios(rows)
    assert label == "dependence, d = 2: clean / noisy"
    assert "| clean, noise on the prefix | 2 |" in table(rows)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (Options(delays=(0,)), "--delays 0"),
        (Options(delays=(5,)), "--delays 5"),
        (Options(delays=()), "--delays"),
        (Options(episodes=0), "--episodes 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Options, word: str) -> None:
    (line,) = complaints(options)
    assert word in line
    assert "expected" in line
