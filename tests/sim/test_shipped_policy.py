"""The shipped policy in closed loop with the twin, in virtual time."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.instruction import Asked
from unichunk.embodiments.sim.reference import reference_errors
from unichunk.embodiments.sim.twin import Twin
from unichunk.runtime.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = load_spec("so101")
BUNDLE = Path(str(resources.files("unichunk.embodiments"))) / "bundles" / "so101_follow"
CAMERA = "third_person"

pytestmark = pytest.mark.simulator


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(BUNDLE)


@pytest.fixture(scope="module")
def twin() -> Twin:
    return Twin(SPEC, 201)


@pytest.fixture(scope="module")
def renderer(twin: Twin) -> Iterator[CameraRenderer]:
    renderer = CameraRenderer(twin.model, CAMERA)
    yield renderer
    renderer.close()


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("delay", "share"), [(1, 0.35), (4, 0.55)])
def test_it_follows_the_block_it_is_told_to_smoothly(policy, twin, renderer, block, delay, share):
    loop = ClosedLoop(twin, (CAMERA, renderer), EmbodimentAdapter(SPEC, policy.robot), policy)
    result = loop.run([f"follow the {block} block"] * 160, delay)
    still = reference_errors(SPEC, 201, Asked(block), 8.0, SPEC.rest)["no_motion_error_m"]
    assert result.score.error < share * still
    assert result.score.error < 0.5 * result.score.other_error
    assert result.max_command_step <= SPEC.limits.velocity.min() / SPEC.command_hz


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("y", [-0.1, 0.1])
def test_it_believes_image_and_instruction_and_not_the_prefix(policy, twin, renderer, block, y):
    """The symptom of a policy that learned to continue its own past: a long prefix decides where the postfix goes."""
    adapter = EmbodimentAdapter(SPEC, policy.robot)
    twin.reset()
    snapshot = twin.snapshot()
    index = BLOCKS.index(block)
    snapshot.mocap_pos[index, :2], snapshot.mocap_pos[1 - index, :2] = (0.24, y), (0.24, -y)
    elsewhere = twin.task.goals.joints(np.array([0.24, -y]))
    # Ten rows that go the other way, to the other block, as an older chunk's would under another instruction.
    prefix = SPEC.rest + np.linspace(0.0, 0.5, 10)[:, None] * (elsewhere - SPEC.rest)
    previous = np.zeros((policy.chunk_length, 200), dtype=np.float32)
    previous[:10] = policy.encode_actions(adapter.actions(prefix, SPEC.rest))
    observation = adapter.actions(SPEC.rest[None], SPEC.rest)
    chunk = policy.infer(
        {
            f"video.{CAMERA}": renderer.render(snapshot),
            "language.instruction": f"follow the {block} block",
            **{key.replace("action.", "state."): values[0] for key, values in observation.items()},
        },
        previous,
        10,
    )
    reached = twin.task.positions(adapter.joints(chunk.actions, prefix[-1], 10))[-1, 0]
    assert reached[:2] == pytest.approx([0.24, y], abs=0.03)
