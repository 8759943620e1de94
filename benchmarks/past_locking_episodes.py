"""Runs the episodes of a comparison of arms, in virtual time."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from unichunk.benchmarks.past_locking_plan import Episode
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.instruction import INSTRUCTIONS
from unichunk.embodiments.sim.twin import Twin
from unichunk.runtime.policy import Policy

if TYPE_CHECKING:
    from unichunk.benchmarks.past_locking_plan import Arm, Job
    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.runtime.chunk_policy import ChunkPolicy
    from unichunk.runtime.policy.manifest import StateTime


def run_job(job: Job) -> list[Episode]:
    """Run all episodes of a path: the same blocks and the same noise for all arms."""
    twin = Twin(load_spec(job.robot), job.seed)
    renderers: dict[str, CameraRenderer] = {}
    try:
        for arm in job.arms:
            camera = _policy(arm, job.robot, job.rounds).robot.cameras[0]
            if camera not in renderers:
                renderers[camera] = CameraRenderer(twin.model, camera)
        return [
            _run(job, twin, renderers, arm, delay, block)
            for delay in job.delays
            for block in BLOCKS
            for arm in job.arms
        ]
    finally:
        for renderer in renderers.values():
            renderer.close()


def _run(job: Job, twin: Twin, renderers: dict[str, CameraRenderer], arm: Arm, delay: int, block: Block) -> Episode:
    told = [INSTRUCTIONS["half"].format(block=block)] * round(job.duration_s * twin.spec.action_hz)
    # Each episode begins with the same noise, whatever ran before it in this process.
    policy = _policy(arm, job.robot, job.rounds).for_embodiment(job.robot, seed=job.seed)
    adapter = EmbodimentAdapter(twin.spec, policy.robot, str(arm.bundle))
    camera = policy.robot.cameras[0]
    asked: ChunkPolicy = ToldStale(policy) if arm.mode == "stale" else policy
    loop = ClosedLoop(twin, (camera, renderers[camera]), adapter, asked, lock=arm.mode != "naive")
    result = loop.run(told, delay)
    return Episode(
        arm=arm.label,
        delay=delay,
        block=block,
        seed=job.seed,
        success=result.score.success,
        on_target=result.score.on_target,
        error_mm=1e3 * result.score.error,
        seam_kink_rad=result.seams.kink,
        inside_kink_rad=result.seams.kink_inside,
        chunks=result.chunks,
        violations=result.violations,
    )


class ToldStale:
    """A policy that is told the observation's state, whatever it was trained with.

    Args:
        policy: The policy.
    """

    state_time: StateTime = "observation"

    def __init__(self, policy: Policy) -> None:
        self.infer, self.encode_actions = policy.infer, policy.encode_actions
        self.chunk_length, self.max_delay = policy.chunk_length, policy.max_delay
        self.locks = policy.locks


@cache
def _policy(arm: Arm, robot: str, rounds: int) -> Policy:
    return Policy.load(arm.bundle, embodiment=robot, refinement_rounds=rounds, guided=arm.mode == "guided")
