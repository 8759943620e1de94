"""The distribution of delays in training follows the embodiment's rate and latency."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.runtime.train.delays import DelayDistribution


@pytest.mark.parametrize("action_hz", [10, 20, 50])
def test_probabilities_are_probabilities_and_every_delay_occurs(action_hz):
    probabilities = DelayDistribution(action_hz).probabilities()
    assert probabilities.shape == (13,)
    assert probabilities.sum() == pytest.approx(1.0)
    assert (probabilities >= 0.5 / 13 - 1e-12).all()


def test_faster_robots_and_longer_latencies_mean_longer_prefixes():
    def mean(**settings) -> float:
        probabilities = DelayDistribution(**settings).probabilities()
        return float(probabilities @ np.arange(len(probabilities)))

    assert mean(action_hz=10) < mean(action_hz=20) < mean(action_hz=50)
    assert mean(action_hz=20, median_latency_s=0.03) < mean(action_hz=20, median_latency_s=0.2)


def test_the_expected_share_is_the_ceiling_of_latency_times_rate_plus_the_margin():
    distribution = DelayDistribution(20, median_latency_s=0.12, spread=0.05, margin_ticks=1, even_share=0.0)
    assert int(distribution.probabilities().argmax()) == int(np.ceil(0.12 * 20)) + 1
    assert distribution.probabilities()[:2].sum() == pytest.approx(0.0)


def test_samples_follow_the_probabilities():
    distribution = DelayDistribution(20)
    drawn = distribution.sample(np.random.default_rng(1), 20_000)
    share = np.bincount(drawn, minlength=13) / len(drawn)
    np.testing.assert_allclose(share, distribution.probabilities(), atol=0.015)
