"""The bundle that ships with the project; needs nothing but ONNX Runtime and a tokenizer."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.spec import load_spec
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest

BUNDLE = Path(str(resources.files("unichunk.embodiments"))) / "bundles" / "so101_follow"


@pytest.fixture(scope="module", params=[0, 2])
def policy(request: pytest.FixtureRequest) -> Policy:
    return Policy.load(BUNDLE, refinement_rounds=request.param)


def test_it_is_small_and_fits_its_robot():
    manifest = read_manifest(BUNDLE)
    JointAdapter(load_spec("so101")).check_policy(manifest, str(BUNDLE))
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) <= 12_000_000
    assert manifest.provenance["data_config"] == "so101_follow"


@pytest.mark.parametrize("delay", [0, 1, 4, 12])
def test_locked_rows_come_back_bit_by_bit(policy: Policy, delay: int):
    previous = np.random.default_rng(delay).standard_normal((policy.chunk_length, 200)).astype(np.float32)
    result = policy.infer(policy.example_observation(), previous, delay)
    assert result.unified[:delay].tobytes() == previous[:delay].tobytes()
    assert np.isfinite(result.unified).all()


def test_what_slots_hold_that_are_not_in_use_does_not_matter(policy: Policy):
    random = np.random.default_rng(1)
    previous = random.standard_normal((policy.chunk_length, 200)).astype(np.float32)
    noise = random.standard_normal((1 + policy.refinement_rounds, policy.chunk_length, 200)).astype(np.float32)
    others = np.delete(np.arange(200), [*range(50, 55), 18])
    before = policy.infer(policy.example_observation(), previous, 4, noise)
    previous[:, others], noise[..., others] = 0.0, 0.0
    after = policy.infer(policy.example_observation(), previous, 4, noise)
    for name, values in before.actions.items():
        np.testing.assert_array_equal(after.actions[name], values)
