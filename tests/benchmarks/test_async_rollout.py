"""Episodes through the runtime's ring buffer: which rows run when, and that sharing a ring buffer changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.async_worlds import Counting, Walk, random_trained
from unichunk.benchmarks.async_control.cell import Cell, measure, roughness
from unichunk.benchmarks.async_control.latency import DelayKind, Latency
from unichunk.benchmarks.async_control.methods import METHODS
from unichunk.benchmarks.async_control.rollout import Rollout
from unichunk.benchmarks.async_control.tasks.catch import Catch
from unichunk.embodiments.sim.intervals import wilson

FIXED, SAMPLED, LATE = DelayKind.FIXED, DelayKind.SAMPLED, DelayKind.UNDERESTIMATED


def rollout(name: str, latency: Latency, chunk: int = 8, *, apart: bool = False, seed: int = 0) -> Rollout:
    trained = random_trained(1, chunk, rolled=name == "uac_rollforward")
    return Rollout(Walk(), METHODS[name], trained, latency, 6, seed, apart=apart)


@pytest.mark.parametrize("delay", range(5))
@pytest.mark.parametrize("chunk", [8, 10])
def test_old_rows_run_to_d_and_then_new_ones(delay: int, chunk: int) -> None:
    counting = Counting()
    episodes = Rollout(Walk(), counting.method(), random_trained(0, chunk), Latency(FIXED, delay), 3, 0).run()
    period = max(1, delay)
    expected = []
    for tick in range(Walk.ticks):
        # The newest chunk whose inference, begun at number * period, had ended: the first one took no time.
        number = max(0, (tick - delay) // period)
        expected.append(np.float32(number) + np.float32(tick - number * period) / np.float32(100))
    assert episodes.actions[:, 0, 0] == pytest.approx(expected, rel=1e-5)
    assert episodes.tally.underruns == episodes.tally.late == 0
    for number, request in enumerate(counting.requests[1:], 1):
        assert request.observations[0, 2] == number * period
        assert request.delay == delay
        assert request.overlap == chunk - period
        present = request.running[0, : request.overlap, 0]
        assert present == pytest.approx(number - 1 + (period + np.arange(request.overlap)) / 100, rel=1e-5)


def test_seams_lie_where_chunks_begin() -> None:
    episodes = Rollout(Walk(), Counting().method(), random_trained(0, 8), Latency(FIXED, 3), 2, 0).run()
    assert list(np.flatnonzero(episodes.seams[:, 0])) == list(range(6, Walk.ticks, 3))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("latency", [Latency(FIXED, 3), Latency(SAMPLED, 4)])
def test_an_episode_alone_runs_as_it_does_among_others(name: str, latency: Latency) -> None:
    together, apart = (rollout(name, latency, apart=apart).run() for apart in (False, True))
    assert together.actions.tobytes() == apart.actions.tobytes()
    assert np.array_equal(together.success, apart.success)
    assert np.array_equal(together.seams, apart.seams)


def test_without_delay_the_oracle_and_all_plain_execution_are_one() -> None:
    oracle, naive, synchronous, untrained = (
        rollout(name, Latency(FIXED, 0)).run().actions for name in ("oracle", "naive", "synchronous", "uac_untrained")
    )
    assert np.array_equal(oracle, naive)
    assert np.array_equal(oracle, synchronous)
    assert np.array_equal(oracle, untrained)


def test_the_oracle_executes_fresh_rows_and_the_world_waits() -> None:
    counting = Counting()
    latency = Latency(FIXED, 4)
    episodes = Rollout(Walk(), counting.method(waits=True), random_trained(0, 8), latency, 2, 0).run()
    expected = [tick // 4 + (tick % 4) / 100 for tick in range(Walk.ticks)]
    assert episodes.actions[:, 0, 0] == pytest.approx(expected, rel=1e-5)
    assert episodes.tally.waited == 4 * (len(counting.requests) - 1)


def test_the_synchronous_one_exerts_no_force_while_it_thinks() -> None:
    counting = Counting()
    latency = Latency(FIXED, 3)
    episodes = Rollout(Walk(), counting.method(stalls=True), random_trained(0, 8), latency, 2, 0).run()
    expected = [0.0, 0.01, 0.02]
    for number in range(1, 5):
        expected += [0.0, 0.0, 0.0, number, number + 0.01, number + 0.02]
    assert episodes.actions[:, 1, 1] == pytest.approx(expected[: Walk.ticks], rel=1e-5)
    assert episodes.tally.underruns == expected[3 : Walk.ticks].count(0.0)


def test_locking_is_intact_and_naive_execution_is_not() -> None:
    for name, intact in (("naive", False), ("rtc", False), ("uac_untrained", True), ("uac_rollforward", True)):
        tally = rollout(name, Latency(FIXED, 3)).run().tally
        assert tally.chunks > 3
        assert tally.violations == (0 if intact else tally.chunks)


@given(st.integers(1, 4), st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_an_underestimated_delay_makes_every_chunk_late_by_one_tick(delay: int, seed: int) -> None:
    episodes = rollout("uac", Latency(LATE, delay), apart=True, seed=seed).run()
    assert episodes.tally.late == episodes.tally.chunks > 0
    assert episodes.tally.committed == (delay - 1) * episodes.tally.chunks
    assert episodes.tally.underruns == 0


@given(st.integers(2, 8), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_sampled_latencies_are_covered_by_what_the_estimator_commits(longest: int, seed: int) -> None:
    latency = Latency(SAMPLED, longest)
    random = np.random.default_rng(seed)
    estimator = latency.estimator(20, random)
    drawn = latency.draw(random, 200)
    assert drawn.min() >= 1
    for ticks in drawn:
        assert ticks <= longest - 1 or longest == 2
        assert estimator.delay() <= longest
        estimator.observe(0.0, ticks / 20)
        assert estimator.delay() >= ticks


def test_a_row_says_what_was_measured() -> None:
    trained = random_trained(0, 8, Catch())
    for kind in DelayKind:
        row = measure(Cell("catch", "uac", 8, Latency(kind, 4), 40), trained)
        low, high = wilson(round(row["success"] * 40), 40)
        assert (row["low"], row["high"]) == (round(low, 4), round(high, 4))
        assert (row["task"], row["method"], row["chunk"], row["episodes"]) == ("catch", "uac", 8, 40)
        assert (row["delay"], row["delay_kind"]) == (4, kind.value)
        assert row["successes_per_s"] == pytest.approx(row["success"] / 2.0, abs=1e-3)
    assert row["late"] == 1.0


def test_roughness_is_told_apart_at_seams() -> None:
    counting = Counting()
    episodes = Rollout(Walk(), counting.method(waits=True), random_trained(0, 8), Latency(FIXED, 4), 2, 0).run()
    rough = roughness([episodes])
    assert rough["step_rms"] == pytest.approx(0.01, abs=1e-4)
    assert rough["seam_rms"] == pytest.approx(0.97, abs=1e-4)
    every = Rollout(Walk(), Counting().method(), random_trained(0, 8), Latency(FIXED, 0), 2, 0).run()
    assert roughness([every])["step_rms"] is None
