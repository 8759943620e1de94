"""The shipped policy in closed loop with the twin, in virtual time."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

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
