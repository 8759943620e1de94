"""Every head drives a twin in virtual time, with the runtime's own commitments, stitching and rows."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.heads.models import CAMERA, ROBOT, SPEC
from unichunk.embodiments.adapter import EmbodimentAdapter

if TYPE_CHECKING:
    from tests.heads.models import Case

pytestmark = [
    pytest.mark.simulator,
    pytest.mark.skipif(find_spec("mujoco") is None, reason="the twin needs MuJoCo: pip install 'unichunk[sim]'"),
]


@pytest.mark.parametrize("delay", [3])
def test_it_drives_the_twin_within_its_limits(case: Case, delay: int) -> None:
    from unichunk.embodiments.sim.camera import CameraRenderer
    from unichunk.embodiments.sim.closed_loop import ClosedLoop
    from unichunk.embodiments.sim.twin import Twin

    assert case.policy.embodiment == ROBOT
    twin = Twin(SPEC, 3)
    renderer = CameraRenderer(twin.model, CAMERA)
    try:
        adapter = EmbodimentAdapter(SPEC, case.policy.robot)
        before = twin.q.copy()
        result = ClosedLoop(twin, (CAMERA, renderer), adapter, case.policy).run(["follow the red block"] * 16, delay)
    finally:
        renderer.close()
    assert result.chunks == (16 - 1) // delay
    assert result.violations == 0
    assert 0 < result.max_command_step <= SPEC.limits.velocity.max() / SPEC.command_hz
    assert np.isfinite(twin.q).all()
    assert np.abs(twin.q - before).max() > 1e-3
