"""The shipped policy in closed loop with the twin, in virtual time."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.reference import reference_errors
from unichunk.embodiments.sim.twin import Twin
from unichunk.embodiments.spec import load_spec
from unichunk.runtime.policy import Policy

SPEC = load_spec("so101")
BUNDLE = Path(str(resources.files("unichunk.embodiments"))) / "bundles" / "so101_follow"


@pytest.mark.simulator
@pytest.mark.parametrize(("delay", "share"), [(1, 0.35), (4, 0.55)])
def test_it_follows_the_target_smoothly(delay, share):
    twin = Twin(SPEC, 201)
    renderer = CameraRenderer(twin.model, "third_person")
    loop = ClosedLoop(
        twin, ("third_person", renderer), JointAdapter(SPEC), Policy.load(BUNDLE), "follow the red target"
    )
    result = loop.run(160, delay)
    renderer.close()
    still = reference_errors(SPEC, 201, 8.0, SPEC.rest)["no_motion_error_m"]
    assert result.mean_error < share * still
    assert result.max_command_step <= SPEC.limits.velocity.min() / SPEC.command_hz


@pytest.mark.simulator
def test_it_believes_the_image_and_not_the_prefix():
    """The symptom of a policy that learned to continue its own past: a long prefix decides where the postfix goes."""
    twin, policy, adapter = Twin(SPEC, 201), Policy.load(BUNDLE), JointAdapter(SPEC)
    renderer = CameraRenderer(twin.model, "third_person")
    snapshot = twin.snapshot()
    for target_y in (-0.1, 0.1):
        snapshot.mocap_pos[0, :2] = 0.24, target_y
        elsewhere = twin.task.solver.solve(np.array([0.24, -target_y, 0.09]))
        # Ten rows that go the other way, as an older chunk's would after the target turned round.
        prefix = SPEC.rest + np.linspace(0.0, 0.5, 10)[:, None] * (elsewhere - SPEC.rest)
        previous = np.zeros((policy.chunk_length, 200), dtype=np.float32)
        previous[:10] = policy.encode_actions(adapter.actions(prefix))
        observation = adapter.actions(SPEC.rest[None])
        chunk = policy.infer(
            {
                "video.third_person": renderer.render(snapshot),
                "language.instruction": "follow the red target",
                **{key.replace("action.", "state."): values[0] for key, values in observation.items()},
            },
            previous,
            10,
        )
        reached = twin.task.solver.position(adapter.joints(chunk.actions))[-1]
        assert reached[:2] == pytest.approx([0.24, target_y], abs=0.025)
    renderer.close()
