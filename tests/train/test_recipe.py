"""The recipe's glue, end to end, with next to no data and next to no training."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")
if not find_spec("mujoco"):  # not imported here: that would choose how it renders before the simulator package does
    pytest.skip("demonstrations need MuJoCo: pip install 'unichunk[sim]'", allow_module_level=True)

from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.sim.demonstrations import Recorder
from unichunk.embodiments.sim.policy_values import PolicyValues
from unichunk.embodiments.spec import load_spec
from unichunk.runtime.compile.compile import CompileOptions, compile_checkpoint
from unichunk.runtime.policy import Policy
from unichunk.server.train_so101_follow import CAMERA, DATASET, MAX_DELAY, SIZES, Recipe, build

SPEC = load_spec("so101")


@pytest.mark.simulator
def test_demonstrations_become_a_checkpoint_that_compiles_into_a_bundle_for_the_robot(tmp_path):
    recorder = Recorder(SPEC, CAMERA, SIZES.image_size, MAX_DELAY)
    demonstrations = recorder.record([1, 2])
    recorder.close()
    recipe = Recipe(out=tmp_path / "checkpoint", minutes=0.005, workers=1, data=tmp_path)
    build(recipe, SPEC, demonstrations)
    with pytest.raises(SystemExit, match="exists already"):
        build(recipe, SPEC, demonstrations)
    manifest = compile_checkpoint(recipe.out, tmp_path / "bundle", CompileOptions("so101_follow", DATASET))
    JointAdapter(SPEC).check_policy(manifest, "here")
    assert manifest.max_delay == MAX_DELAY
    policy = Policy.load(tmp_path / "bundle", refinement_rounds=2)
    chunk = policy.infer(policy.example_observation())
    assert np.isfinite(chunk.unified).all()
    # What training calls normalized is what the bundle calls normalized.
    values = PolicyValues(SPEC, demonstrations.rows.reshape(-1, 6))
    joints = demonstrations.rows[0, :5]
    encoded = policy.encode_actions(JointAdapter(SPEC).actions(joints))
    np.testing.assert_allclose(encoded[:, list(values.slots)], values.encode(joints), atol=1e-5)


def test_values_go_there_and_back():
    rows = np.random.default_rng(0).uniform(SPEC.limits.lower, SPEC.limits.upper, size=(50, 6))
    values = PolicyValues(SPEC, rows)
    assert values.slots == (50, 51, 52, 53, 54, 18)
    np.testing.assert_allclose(values.decode(values.encode(rows)), rows, atol=1e-6)
    np.testing.assert_allclose(values.encode(rows).mean(axis=0), 0.0, atol=1e-5)
