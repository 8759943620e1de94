"""The shipped generalist in closed loop with each robot's twin, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.follow_score import Told
from unichunk.embodiments.sim.instruction import INSTRUCTIONS, Asked
from unichunk.embodiments.sim.reference import no_motion_score
from unichunk.embodiments.sim.twin import Twin
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import robots_of
from unichunk.server.shipped_bundles import GENERALIST, shipped_bundles

if TYPE_CHECKING:
    from collections.abc import Iterator

ROBOTS = ("so101", "fr3_inspire", "g1_o6", "adam_u", "d1")
DURATION_S = 7.0
DELAY_S = 0.1

pytestmark = pytest.mark.simulator


@pytest.fixture(scope="module", params=ROBOTS)
def loop(request: pytest.FixtureRequest) -> Iterator[tuple[Twin, ClosedLoop]]:
    bundle, twin = shipped_bundles(request.param)[0], Twin(load_spec(request.param), 202)
    policy = Policy.load(bundle, embodiment=request.param)
    camera = policy.robot.cameras[0]
    renderer = CameraRenderer(twin.model, camera)
    yield twin, ClosedLoop(twin, (camera, renderer), EmbodimentAdapter(twin.spec, policy.robot), policy)
    renderer.close()


def test_one_bundle_drives_all_five():
    generalist = shipped_bundles(*ROBOTS)[0]
    assert generalist.name == GENERALIST
    assert set(robots_of(generalist)) == set(ROBOTS)


@pytest.mark.parametrize("asked", [Asked("red", "open"), Asked("blue", "closed")], ids=lambda asked: asked.posture)
def test_it_follows_what_it_is_told_with_arm_and_hand(loop: tuple[Twin, ClosedLoop], asked: Asked):
    twin, closed_loop = loop
    ticks = round(DURATION_S * twin.spec.action_hz)
    text = INSTRUCTIONS[asked.posture].format(block=asked.block)
    result = closed_loop.run(ticks * [text], round(DELAY_S * twin.spec.action_hz))
    still = no_motion_score(twin, Told.throughout(asked, ticks), twin.spec.rest, 0.0)
    # The first second is the way to the block.
    assert result.score.error < 0.6 * still.error
    assert result.score.error < 0.5 * result.score.other_error
    assert result.score.posture_error < 0.1
