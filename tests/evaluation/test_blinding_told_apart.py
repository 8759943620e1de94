"""The classifier of the leak benchmark: it finds what is there, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.benchmarks.evaluated.observer import Sight, Trial
from unichunk.benchmarks.evaluated.seen_of_trials import EVERYTHING, GROUPS, ONSET, features_of, onset_of
from unichunk.benchmarks.evaluated.told_apart import binomial_tail, told_apart

LABELS = np.repeat([0, 1, 2], 10)


def test_classes_that_differ_are_told_apart() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(30, 5))
    features[:, 2] += 4.0 * LABELS
    told = told_apart(features, LABELS, random, 50)
    assert told.accuracy > 0.9
    assert told.p_permutation == pytest.approx(1 / 51)
    assert told.p_binomial < 1e-6


def test_what_is_constant_tells_nothing() -> None:
    told = told_apart(np.full((30, 3), 149.0), LABELS, np.random.default_rng(0), 20)
    assert told.accuracy == pytest.approx(1 / 3)
    assert told.p_permutation == 1.0


def test_where_there_is_nothing_p_is_about_uniform() -> None:
    ps = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        ps.append(told_apart(random.normal(size=(30, 4)), LABELS, random, 19).p_permutation)
    assert np.mean(np.array(ps) <= 0.05) <= 0.2
    assert 0.3 < np.mean(ps) < 0.75


def test_the_binomial_tail_is_that_of_the_definition() -> None:
    assert binomial_tail(0, 9, 1 / 3) == pytest.approx(1.0)
    assert binomial_tail(9, 9, 1 / 3) == pytest.approx(3.0**-9)
    assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)


def test_everything_is_all_but_the_motion() -> None:
    sights = tuple(Sight(149, 1, 4, 4, 0.02 + 0.001 * i, 0.05, moved=i > 3) for i in range(8))
    trial = Trial(greeting=128, sights=sights, error=11, code=1008)
    assert onset_of(trial) == 4
    parts = [len(features_of(trial, group)) for group in GROUPS if group not in {EVERYTHING, ONSET}]
    assert len(features_of(trial, EVERYTHING)) == sum(parts)
    assert np.isfinite(features_of(trial, EVERYTHING)).all()


def test_a_trial_of_a_single_answer_has_numbers_too() -> None:
    trial = Trial(greeting=128, sights=(Sight(149, 1, 4, 4, 0.02, 0.05, moved=False),), error=11, code=1008)
    assert np.isfinite(features_of(trial, EVERYTHING)).all()
    assert onset_of(trial) == 1
