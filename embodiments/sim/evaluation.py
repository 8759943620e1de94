"""How well a policy follows the target, in virtual time: for several delays, beside the expert and no motion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.reference import reference_errors
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.chunk_policy import ChunkPolicy

EVALUATION_SEEDS: Final = (101, 102, 103, 104, 105, 106)
"""Target paths that no demonstration has."""

EVALUATION_S: Final = 20.0
EVALUATION_DELAYS: Final = (0, 1, 2, 4, 6, 8, 12)


def evaluation_table(spec: EmbodimentSpec, policy: ChunkPolicy, camera: str, instruction: str) -> str:
    """Closed-loop tracking errors of a policy for several delays, the expert's, and that of no motion; as text.

    Args:
        spec: The robot.
        policy: The policy.
        camera: Its camera.
        instruction: What it is told.
    """
    adapter = JointAdapter(spec)
    ticks = round(EVALUATION_S * spec.action_hz)
    twins = [Twin(spec, seed) for seed in EVALUATION_SEEDS]
    renderer = CameraRenderer(twins[0].model, camera)
    lines = [f"mean tracking error over {len(twins)} runs of {EVALUATION_S:.0f} s, virtual time"]
    for delay in EVALUATION_DELAYS:
        loops = [ClosedLoop(twin, (camera, renderer), adapter, policy, instruction) for twin in twins]
        results = [loop.run(ticks, delay) for loop in loops]
        error = np.mean([result.mean_error for result in results])
        step = max(result.max_command_step for result in results)
        lines.append(f"  delay {delay:2d}: {1e3 * error:5.1f} mm, largest command step {step:.4f} rad")
    renderer.close()
    references = [reference_errors(spec, seed, EVALUATION_S, spec.rest) for seed in EVALUATION_SEEDS]
    for key, label in (("expert_error_m", "expert"), ("no_motion_error_m", "no motion")):
        lines.append(f"  {label:8s}: {1e3 * np.mean([reference[key] for reference in references]):5.1f} mm")
    return "\n".join(lines)
