"""The bundle that ships with the project; needs nothing but ONNX Runtime and a tokenizer."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.damage import set_value
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server import run_command

BUNDLES = Path(str(resources.files("unichunk.embodiments"))) / "bundles"
SHIPPED = [
    ("so101_follow", "so101"),
    *(("generalist", name) for name in ("so101", "fr3_inspire", "g1_o6", "adam_u", "d1")),
]


@pytest.fixture(scope="module", params=[0, 2])
def policy(request: pytest.FixtureRequest) -> Policy:
    return Policy.load(BUNDLES / "so101_follow", refinement_rounds=request.param)


@pytest.fixture(scope="module", params=SHIPPED[1:], ids=lambda case: case[1])
def generalist(request: pytest.FixtureRequest) -> Policy:
    bundle, embodiment = request.param
    return Policy.load(BUNDLES / bundle, embodiment=embodiment)


@pytest.mark.parametrize(("bundle", "embodiment"), SHIPPED)
def test_it_fits_its_robot(bundle: str, embodiment: str):
    manifest = read_manifest(BUNDLES / bundle)
    EmbodimentAdapter.for_manifest(load_spec(embodiment), manifest, bundle)


def test_what_ships_is_small_and_says_where_it_comes_from():
    assert sum(path.stat().st_size for path in BUNDLES.glob("*/*")) <= 20_000_000
    for bundle, _ in SHIPPED:
        assert read_manifest(BUNDLES / bundle).provenance["checkpoint"]


@pytest.mark.parametrize("delay", [0, 1, 4, 12])
def test_locked_rows_come_back_bit_by_bit(policy: Policy, delay: int):
    previous = np.random.default_rng(delay).standard_normal((policy.chunk_length, 200)).astype(np.float32)
    result = policy.infer(policy.example_observation(), previous, delay)
    assert result.unified[:delay].tobytes() == previous[:delay].tobytes()
    assert np.isfinite(result.unified).all()


def test_the_generalist_locks_each_robots_rows_and_is_silent_in_the_slots_of_others(generalist: Policy):
    previous = np.random.default_rng(1).standard_normal((generalist.chunk_length, 200)).astype(np.float32)
    result = generalist.infer(generalist.example_observation(), previous, 4)
    assert result.unified[:4].tobytes() == previous[:4].tobytes()
    own = sorted({slot for key in generalist.robot.action.values() for slot in range(*key.slots)})
    assert np.abs(result.unified[4:, own]).max() > 0.0
    assert not np.delete(result.unified[4:], own, axis=1).any()


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


def test_the_bundle_for_a_robot_is_the_generalist_or_the_first_that_drives_it(tmp_path: Path, monkeypatch: Any):
    folders = tmp_path / "bundles"
    for name, robots in (("b", ["so101", "d1"]), ("a", ["so101"]), ("generalist", ["d1", "g1_o6"]), ("so101_old", [])):
        write_tiny_bundle(folders / name, embodiments=robots or ["so101"], denoising_steps=1)
    set_value(folders / "so101_old", "format_version", 2)
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    for embodiment, name in (("so101", "a"), ("d1", "generalist"), ("g1_o6", "generalist")):
        assert run_command.shipped_bundle(embodiment) == folders / name
    with refused(UnichunkError, "no policy ships for adam_u", "--policy"):
        run_command.shipped_bundle("adam_u")
