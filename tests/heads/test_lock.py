"""What locked rows do to the others, and what nothing may do to anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compile.graph_runs import run, session
from tests.heads.models import ROWS, SLOTS, an_observation
from tests.one_line import refused
from unichunk.runtime.errors import ObservationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.heads.models import Case

OTHERS = np.setdiff1d(np.arange(200), SLOTS)
DELAYS = st.integers(0, ROWS)
SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(delay=DELAYS, seed=SEEDS)
def test_locked_rows_come_back_bit_by_bit(case: Case, delay: int, seed: int) -> None:
    previous = np.random.default_rng(seed).normal(size=(ROWS, 200)).astype(np.float32)
    previous[:, ::3] = -0.0
    inputs = case.policy.preprocess(case.observation, previous, delay, case.noise)
    # Of the graph itself, and of the policy, which would mend what an engine's `Where` does to -0.0.
    computed = case.policy.denoise(inputs, case.policy.prefix(inputs))["actions"].numpy()
    for rows in (computed, case.rows(delay, previous=previous)):
        np.testing.assert_array_equal(rows[:delay].view(np.int32), previous[:delay].view(np.int32))
        assert np.isfinite(rows).all()


@few
@given(delay=st.integers(1, ROWS - 1), seed=SEEDS)
def test_locked_rows_shape_the_others_where_rows_are_denoised(denoising: Case, delay: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    other, beyond = denoising.previous.copy(), denoising.previous.copy()
    other[delay - 1, SLOTS] += random.normal(size=len(SLOTS))
    beyond[delay:] = random.normal(size=beyond[delay:].shape)
    rows = denoising.rows(delay)
    assert np.abs(denoising.rows(delay, previous=other)[delay:, SLOTS] - rows[delay:, SLOTS]).max() > 1e-5
    np.testing.assert_array_equal(denoising.rows(delay, previous=beyond), rows)
    assert denoising.policy.locks


@few
@given(delay=DELAYS, seed=SEEDS)
def test_a_regression_only_stitches(cases: Callable[[str], Case], delay: int, seed: int) -> None:
    case = cases("regression")
    other = np.random.default_rng(seed).normal(size=(ROWS, 200)).astype(np.float32)
    np.testing.assert_array_equal(case.rows(delay, previous=other)[delay:], case.rows(0)[delay:])
    assert not case.policy.locks
    assert case.policy.max_delay == ROWS - 1


def test_a_regression_takes_no_noise(cases: Callable[[str], Case]) -> None:
    case = cases("regression")
    assert "noise" not in case.policy.preprocess(case.observation)
    with refused(ObservationError, "noise: expected none", "denoises nothing", "float32 of shape (8, 200)"):
        case.rows(0, noise=np.zeros((ROWS, 200), np.float32))


@pytest.mark.parametrize("kind", ["ddim", "masked"])
@few
@given(row=st.integers(0, ROWS - 1))
def test_with_causal_attention_no_row_knows_a_later_one(cases: Callable[[str], Case], kind: str, row: int) -> None:
    case = cases(kind)
    assert case.noise is not None
    noise = case.noise.copy()
    noise[row, SLOTS] += 1
    moved = np.abs(case.rows(0, noise=noise) - case.rows(0)).max(axis=1)
    assert (moved[:row] < 1e-5).all()
    assert (moved[row:] > 1e-5).all()


@pytest.mark.parametrize("kind", ["ddim", "masked"])
def test_with_an_action_mask_nothing_outside_it_matters_and_nothing_comes_out_there(
    cases: Callable[[str], Case], kind: str
) -> None:
    case = cases(kind)
    inputs = case.policy.preprocess(case.observation, case.previous, 3, case.noise)
    np.testing.assert_array_equal(np.flatnonzero(inputs["action_mask"]), np.sort(SLOTS))
    prefix = case.policy.prefix(inputs)
    rows = case.policy.denoise(inputs, prefix)["actions"].numpy()
    other = {name: inputs[name].copy() for name in ("noise", "previous_chunk")}
    for values in other.values():
        values[..., OTHERS] += 7
    changed = case.policy.denoise(inputs | other, prefix)["actions"].numpy()
    np.testing.assert_array_equal(changed[3:], rows[3:])
    assert not rows[3:, OTHERS].any()
    free = case.policy.denoise(inputs | {"action_mask": np.ones((1, 200), np.float32)}, prefix)["actions"].numpy()
    assert np.abs(free[3:, OTHERS]).max() > 0.1


@pytest.mark.parametrize(
    ("kind", "name"), [("flow", "fields_of_view"), ("ddim", "fields_of_view"), ("ddim", "state_mask")]
)
def test_what_a_policy_is_told_beside_images_and_text_matters(
    cases: Callable[[str], Case], kind: str, name: str
) -> None:
    case = cases(kind)
    inputs = case.policy.preprocess(case.observation, None, 0, case.noise)

    def rows(changes: dict[str, Any]) -> np.ndarray[Any, Any]:
        changed = inputs | changes
        return case.policy.denoise(changed, case.policy.prefix(changed))["actions"].numpy()

    assert np.abs(rows({name: 0.5 * inputs[name]}) - rows({})).max() > 1e-5
    if name == "state_mask":
        np.testing.assert_array_equal(np.flatnonzero(inputs[name]), np.sort(SLOTS))
        state = inputs["state"].copy()
        state[0, OTHERS] = 9
        np.testing.assert_array_equal(rows({"state": state}), rows({}))
    else:
        np.testing.assert_allclose(inputs[name], [[0.9, 0.7]])


def test_padding_of_the_text_is_not_seen(case: Case) -> None:
    inputs = case.policy.preprocess(case.observation, None, 0, case.noise)
    tokens = inputs["tokens"]
    assert (tokens < 0).any()
    other = np.where(tokens < 0, -7, tokens)
    rows = [
        case.policy.denoise(inputs, case.policy.prefix(inputs | {"tokens": ids}))["actions"].numpy()
        for ids in (tokens, other, np.where(tokens < 0, 5, tokens))
    ]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.abs(rows[0] - rows[2]).max() > 1e-6


def test_two_requests_at_once_get_what_they_get_alone(case: Case) -> None:
    random = np.random.default_rng(5)
    policy, requests = case.policy, []
    for delay in (0, 3):
        noise = None if case.noise is None else random.normal(size=(ROWS, 200))
        requests.append(policy.preprocess(an_observation(random), random.normal(size=(ROWS, 200)), delay, noise))
    both = {name: np.stack([request[name] for request in requests]) for name in requests[0]}
    (batched,) = policy.manifest.graphs.batched
    assert batched.size == 2
    prefix = run(session(case.bundle / batched.prefix), both)
    rows = run(session(case.bundle / batched.chunks[0]), both | prefix)["actions"]
    for request, together in zip(requests, rows, strict=True):
        alone = policy.denoise(request, policy.prefix(request))["actions"].numpy()
        np.testing.assert_allclose(together, alone, atol=1e-5 * np.abs(alone).max())
    np.testing.assert_array_equal(rows[1, :3].view(np.int32), both["previous_chunk"][1, :3].view(np.int32))
