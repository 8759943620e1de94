"""The flow policy: derivatives against finite differences, locked rows, guidance, choice among chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.async_worlds import Walk, random_policy
from unichunk.benchmarks.async_control.bidirectional import CANDIDATES, KEPT, choose, incoherence, nearest
from unichunk.benchmarks.async_control.demonstrations import demonstrate
from unichunk.benchmarks.async_control.guidance import (
    LARGEST_WEIGHT,
    guidance_weight,
    pull,
    sample_guided,
    soft_mask,
)
from unichunk.benchmarks.async_control.training import Recipe, Samples, Variant, loss, train

T = 6


def normal(seed: int, *shape: int, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def slope(function, values: np.ndarray, direction: np.ndarray, step: float = 1e-6) -> float:
    before = values.copy()
    values += step * direction
    above = function()
    values[...] = before - step * direction
    below = function()
    values[...] = before
    return (above - below) / (2 * step)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_vector_jacobian_product_is_the_derivative(seed: int) -> None:
    network = random_policy(seed, T, dtype=np.float64).network
    inputs, gradient = normal(seed, 4, T * 3 + 3), normal(seed + 1, 4, T * 2)
    output, trace = network.trace(inputs)
    assert np.array_equal(output, network(inputs))
    direction = normal(seed + 2, *inputs.shape)
    expected = slope(lambda: float((network(inputs) * gradient).sum()), inputs, direction)
    assert (network.input_gradient(trace, gradient.copy()) * direction).sum() == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_gradient_of_the_loss_is_its_derivative(seed: int) -> None:
    policy = random_policy(seed, T, dtype=np.float64)
    times = np.broadcast_to(np.random.default_rng(seed).random((5, 1)), (5, T)).copy()
    times[1, :2] = times[2, :5] = 1.0
    sample = (normal(seed, 5, 3), normal(seed + 1, 5, T, 2), normal(seed + 2, 5, T, 2), times)
    _, gradients = loss(policy, *sample)
    for values, gradient in zip(policy.network.parameters, gradients, strict=True):
        direction = normal(seed + 3, *values.shape)
        expected = slope(lambda: loss(policy, *sample)[0], values, direction)
        assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_loss_does_not_look_at_locked_rows() -> None:
    policy = random_policy(3, T)
    times = np.full((4, T), 0.4, np.float32)
    times[:, :3] = 1.0
    seen, chunks, noise = (normal(1, *shape, dtype=np.float32) for shape in ((4, 3), (4, T, 2), (4, T, 2)))
    other = noise.copy()
    other[:, :3] += 1.0
    assert loss(policy, seen, chunks, noise, times)[0] == loss(policy, seen, chunks, other, times)[0]
    other[:, 3] += 1.0
    assert loss(policy, seen, chunks, noise, times)[0] != loss(policy, seen, chunks, other, times)[0]


@given(st.integers(0, T), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_locked_rows_stay_bit_for_bit_and_decide_the_others(delay: int, seed: int) -> None:
    policy = random_policy(seed, T)
    noise, prefix = normal(seed, 5, T, 2, dtype=np.float32), 3 * normal(seed + 1, 5, delay, 2, dtype=np.float32)
    seen = normal(seed + 2, 5, 3, dtype=np.float32)
    chunks = policy.sample(seen, noise, prefix)
    assert chunks[:, :delay].tobytes() == prefix.tobytes()
    assert np.abs(chunks[:, delay:]).max(initial=0.0) <= 1.0
    if delay == 0:
        assert np.array_equal(chunks, policy.sample(seen, noise))
    noise[:, :delay] = 7.0
    assert np.array_equal(chunks, policy.sample(seen, noise, prefix)), "what is locked does not depend on its noise"


@given(st.integers(1, 16), st.data())
def test_the_soft_mask_is_one_then_falls_then_zero(length: int, data: st.DataObject) -> None:
    delay = data.draw(st.integers(0, length))
    overlap = data.draw(st.integers(delay, length))
    mask = soft_mask(length, delay, overlap)
    assert (mask[:delay] == 1.0).all()
    assert (mask[overlap:] == 0.0).all()
    assert (np.diff(mask) <= 0.0).all()
    assert ((mask[delay:overlap] > 0.0) & (mask[delay:overlap] < 1.0)).all()


def test_the_soft_mask_is_that_of_the_publication() -> None:
    # T = 8, d = 2, s = 2: c_i = (6 - i) / 5 and c (e^c - 1) / (e - 1).
    fraction = (6 - np.arange(2, 6)) / 5
    expected = fraction * (np.exp(fraction) - 1) / (np.e - 1)
    assert soft_mask(8, 2, 6) == pytest.approx([1, 1, *expected, 0, 0], rel=1e-6)


def test_the_guidance_is_clipped_and_never_grows_before_it_is_due() -> None:
    assert guidance_weight(0.0) == guidance_weight(0.01) == LARGEST_WEIGHT
    assert guidance_weight(0.5) == pytest.approx(2.0)
    assert guidance_weight(0.8) == pytest.approx((0.64 + 0.04) / 0.16)


def test_the_guidance_points_down_the_weighted_distance() -> None:
    policy, time = random_policy(5, T, dtype=np.float64), 0.4
    chunks, target, seen = normal(1, 4, T, 2), normal(2, 4, T, 2), normal(3, 4, 3)
    mask = soft_mask(T, 2, 4).astype(np.float64)
    times = np.full((4, T), time, np.float32)

    def distance() -> float:
        estimate = chunks + (1.0 - time) * policy.velocity(chunks, seen, times)
        return float((0.5 * mask[:, None] * (target - estimate) ** 2).sum())

    velocity, direction = pull(policy, chunks, seen, time, target, mask)
    assert np.array_equal(velocity, policy.velocity(chunks, seen, times))
    away = normal(4, *chunks.shape)
    assert -(direction * away).sum() == pytest.approx(slope(distance, chunks, away), rel=1e-4)


def test_guided_chunks_follow_the_plan_where_the_mask_asks() -> None:
    random = np.random.default_rng(0)
    trained = train(Walk(), T, Variant.PLAIN, Recipe(episodes=64, steps=150, batch=128, width=32))
    policy = trained.policy
    seen = Walk().observe(Walk().begin(random, 64))
    noise, target = policy.noise(random, 64), np.full((64, T, 2), 0.3, np.float32)
    plain = np.abs(policy.sample(seen, noise) - target).mean(axis=(0, 2))
    guided = np.abs(sample_guided(policy, seen, noise, target, soft_mask(T, 2, 4)) - target).mean(axis=(0, 2))
    assert (guided[:2] < 0.7 * plain[:2]).all()
    unguided = sample_guided(policy, seen, noise, target, np.zeros(T, np.float32))
    assert np.array_equal(unguided, policy.sample(seen, noise))


def test_bidirectional_decoding_keeps_the_nearest_and_shuns_the_weak() -> None:
    random = np.random.default_rng(1)
    strong, weak = (random.standard_normal((CANDIDATES, 3, T, 2)).astype(np.float32) for _ in range(2))
    running = strong[5, :, :4] + np.float32(0.01)
    distance = incoherence(strong, running)
    assert (distance.argmin(axis=0) == 5).all()
    kept, apart = nearest(strong, distance)
    assert kept.shape == (KEPT, 3, T, 2)
    assert (np.sort(distance, axis=0)[:KEPT] == apart).all()
    chosen = choose(strong, weak, running)
    assert all(any(np.array_equal(chosen[b], kept[k, b]) for k in range(KEPT)) for b in range(3))
    assert (incoherence(strong, running[:, :0]) == 0.0).all()


def test_samples_lock_what_the_distribution_says_and_roll_the_state_forward_by_it() -> None:
    task, recipe = Walk(), Recipe(batch=256)
    data = demonstrate(task, T, 32, np.random.default_rng(0), 0.3)
    assert data.observations.shape == (data.episodes * (task.ticks + 1), 3)
    plain = Samples(task, data, Variant.PLAIN, recipe, T).draw(np.random.default_rng(1))
    assert (plain[3] < 1.0).all()
    assert (plain[3] == plain[3][:, :1]).all()
    seen, chunks, _, times = Samples(task, data, Variant.ROLLFORWARD, recipe, T).draw(np.random.default_rng(1))
    locked = (times == 1.0).sum(axis=1)
    assert set(locked) == set(range(T // 2 + 1))
    for row, delay in enumerate(locked):
        source = np.flatnonzero((data.chunks == chunks[row]).all(axis=(1, 2)))
        own = task.roll_forward(data.observations[source], data.chunks[source, :delay])
        assert (np.abs(own - seen[row, 3:]).max(axis=1) == 0.0).any()
        assert (data.observations[source] == seen[row, :3]).all(axis=1).any()


def test_noise_on_the_prefix_leaves_what_is_learned_alone() -> None:
    task = Walk()
    data = demonstrate(task, T, 32, np.random.default_rng(0), 0.0)
    clean, blurred = (
        Samples(task, data, Variant.DELAYS, Recipe(prefix_noise=noise), T).draw(np.random.default_rng(1))
        for noise in (0.0, 0.3)
    )
    locked = clean[3] == 1.0
    assert np.array_equal(clean[1][~locked], blurred[1][~locked])
    assert not np.array_equal(clean[1][locked], blurred[1][locked])
