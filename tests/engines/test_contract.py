"""The contract of engines: one suite for all of them that this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.engines import contract
from tests.engines.arms import EXACT, LOCAL, LocalPolicy, local_options, noise_of
from tests.engines.thinking import write_thinking_bundle
from tests.policy.damage import manifest_of, put_manifest
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.policy import EngineOptions, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy for two robots with different actions."""
    folder = write_tiny_bundle(tmp_path_factory.mktemp("contract") / "tiny")
    document = manifest_of(folder)
    other = {**document["robots"]["so101"], "max_delay": 3}
    document["robots"]["other"] = other
    put_manifest(folder, document)
    return folder


@pytest.fixture(params=[0, 1], ids=["plain", "refined"])
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def reference(folder: Path, rounds: int) -> Policy:
    """The same policy on the default engine."""
    return Policy.load(folder, embodiment="so101", refinement_rounds=rounds)


@pytest.fixture(params=LOCAL)
def arm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def policy(
    reference: Policy, folder: Path, rounds: int, arm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Policy]:
    options: EngineOptions = local_options(arm, monkeypatch, tmp_path / "cache")
    return Policy.load(folder, embodiment="so101", refinement_rounds=rounds, engine=options, seed=5)


def test_locked_rows_come_back_bit_by_bit(policy: Policy, reference: Policy) -> None:
    contract.check_locked_rows(LocalPolicy(policy), reference)


def test_numbers_are_those_of_the_default_engine(policy: Policy, reference: Policy, arm: str) -> None:
    contract.check_numbers(LocalPolicy(policy), reference, exact=arm in EXACT)


def test_a_request_leaves_nothing_behind(policy: Policy, reference: Policy) -> None:
    contract.check_requests_leave_nothing(LocalPolicy(policy), reference)


def test_a_refused_request_leaves_nothing_behind(policy: Policy, reference: Policy) -> None:
    contract.check_refusals_leave_nothing(LocalPolicy(policy), reference)


def test_it_infers_in_any_thread(policy: Policy, reference: Policy) -> None:
    contract.check_any_thread(LocalPolicy(policy), reference)


def test_loading_draws_no_noise(policy: Policy, reference: Policy) -> None:
    observation = contract.an_observation(policy, 1)
    noise = np.random.default_rng(5).standard_normal(noise_of(policy, 0).shape, np.float32)
    assert contract.bits(policy.infer(observation)) == contract.bits(policy.infer(observation, noise=noise))


def test_robots_take_turns_on_the_same_engines(policy: Policy, reference: Policy) -> None:
    robots = [policy, policy.for_embodiment("other", seed=6)]
    requests = [contract.an_observation(robot, seed) for seed, robot in enumerate(robots)]
    noise = noise_of(policy, 3)
    alone = [contract.bits(robot.infer(request, noise=noise)) for robot, request in zip(robots, requests, strict=True)]
    again = [contract.bits(robots[i].infer(requests[i], noise=noise)) for i in (1, 0, 1)]
    assert again == [alone[1], alone[0], alone[1]]
    assert alone[0] != alone[1]


def test_several_requests_are_decoded_after_the_last_was_computed(policy: Policy, reference: Policy) -> None:
    requests = [
        policy.preprocess(
            contract.an_observation(policy, seed), contract.a_chunk(policy, seed), seed, noise_of(policy, 1)
        )
        for seed in range(3)
    ]
    outputs = policy.infer_batch(requests)
    together = [contract.bits(policy.decode(*pair)) for pair in zip(requests, outputs, strict=True)]
    alone = [contract.bits(policy.decode(request, policy.infer_batch([request])[0])) for request in requests]
    assert together == alone
    assert len({part[0] for part in together}) == 3


def test_what_is_kept_outlives_the_next_run(policy: Policy, reference: Policy) -> None:
    first, second = (
        policy.preprocess(contract.an_observation(policy, seed), noise=noise_of(policy, 1)) for seed in (1, 2)
    )
    expected = contract.bits(policy.decode(first, policy.denoise(first, policy.prefix(first))))
    engine: Any = policy._engines.prefix
    kept = engine.kept(policy.prefix(first))
    kept = engine.kept(kept)
    for _ in range(2):
        # As a policy that reasons: the same kept values again and again, and other chunks in between.
        other = policy.denoise(second, policy.prefix(second))
        assert contract.bits(policy.decode(first, policy.denoise(first, kept))) == expected
        assert contract.bits(policy.decode(second, other)) != expected


def test_a_thought_is_written_between_chunks(arm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = write_thinking_bundle(tmp_path / "thinking")
    written = []
    for options in (EngineOptions(), local_options(arm, monkeypatch, tmp_path / "cache")):
        policy = Policy.load(bundle, engine=options)
        reasoner = policy.reasoner()
        assert reasoner is not None
        for seed in (1, 2):
            reasoner.begin(contract.an_observation(policy, seed))
            for step in range(5):
                assert reasoner.step() is None
                # Other observations go through the same prefix engine meanwhile.
                policy.infer(contract.an_observation(policy, 10 * seed + step))
            written.append(reasoner._ids)
    assert written[:2] == written[2:]
    assert written[0] != written[1]
    assert all(len(set(ids)) == 5 for ids in written)
