"""The bundle that ships with the project; needs nothing but ONNX Runtime."""

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


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(BUNDLE)


def test_it_is_small_and_fits_its_robot():
    manifest = read_manifest(BUNDLE)
    JointAdapter(load_spec("so101")).check_policy(manifest, str(BUNDLE))
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) <= 8_000_000
    assert manifest.provenance["recipe"].startswith("python -m unichunk.server.train_so101_follow")


@pytest.mark.parametrize("delay", [0, 1, 4, 12])
def test_locked_rows_come_back_bit_by_bit(policy, delay):
    previous = np.random.default_rng(delay).standard_normal((policy.chunk_length, 200)).astype(np.float32)
    result = policy.infer(policy.example_observation(), previous, delay)
    assert result.unified[:delay].tobytes() == previous[:delay].tobytes()
    used = [*range(50, 55), 18]
    assert (np.delete(result.unified[delay:], used, axis=1) == 0.0).all()
    assert np.isfinite(result.unified).all()
