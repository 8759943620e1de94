"""The recipe's glue, end to end, with next to no data and next to no training."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'unichunk[train]'")
if not find_spec("mujoco"):  # not imported here: that would choose how it renders before the simulator package does
    pytest.skip("demonstrations need MuJoCo: pip install 'unichunk[sim]'", allow_module_level=True)

from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.sim.demonstrations import Recorder
from unichunk.embodiments.sim.policy_values import PolicyValues
from unichunk.embodiments.spec import load_spec
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.train_so101_follow import CAMERA, IMAGE, MAX_DELAY, Recipe, build, training_data

SPEC = load_spec("so101")


@pytest.mark.simulator
def test_demonstrations_become_a_bundle_that_loads(tmp_path):
    recorder = Recorder(SPEC, CAMERA, (IMAGE.width, IMAGE.height), MAX_DELAY)
    demonstrations = recorder.record([1, 2, 3])
    recorder.close()
    recipe = Recipe(out=tmp_path / "bundle", minutes=0.005, workers=1, data=tmp_path)
    build(recipe, SPEC, demonstrations)
    JointAdapter(SPEC).check_policy(read_manifest(recipe.out), "here")
    policy = Policy.load(recipe.out)
    chunk = policy.infer(policy.example_observation())
    assert np.isfinite(chunk.unified).all()
    # However little it has learned, it does not leap.
    data = training_data(SPEC, PolicyValues(SPEC, demonstrations.rows.reshape(-1, 6)), demonstrations)
    assert data.state.dtype == data.rows.dtype == data.goal.dtype == np.float32
    joints = JointAdapter(SPEC).joints(chunk.actions)
    standing = JointAdapter(SPEC).joints(
        {
            f"action.{key.removeprefix('state.')}": np.atleast_2d(value)
            for key, value in policy.example_observation().items()
            if key.startswith("state.")
        }
    )
    assert (np.abs(joints[0] - standing[0]) <= 0.076).all()


def test_values_go_there_and_back():
    rows = np.random.default_rng(0).uniform(SPEC.limits.lower, SPEC.limits.upper, size=(50, 6))
    values = PolicyValues(SPEC, rows)
    assert values.slots == (50, 51, 52, 53, 54, 18)
    np.testing.assert_allclose(values.decode(values.encode(rows)), rows, atol=1e-6)
    np.testing.assert_allclose(values.encode(rows).mean(axis=0), 0.0, atol=1e-5)
    steps = np.full(6, 0.1)
    moved = values.encode(rows + steps) - values.encode(rows)
    np.testing.assert_allclose(moved, np.broadcast_to(values.encode_steps(steps), moved.shape), atol=1e-5)
