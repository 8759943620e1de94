"""Runs the ablation's episodes, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from unichunk.benchmarks.ablation_plan import METHODS
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.conditions import CONDITIONS
from unichunk.embodiments.sim.instruction import INSTRUCTIONS
from unichunk.embodiments.sim.twin import Twin
from unichunk.runtime.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.benchmarks.ablation_plan import Delay, Job, Method
    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.hands import Posture


@dataclass(frozen=True)
class Episode:
    """One run.

    Attributes:
        category: The category's name.
        robot: Its name.
        condition: Name of the view or of what else is different.
        posture: That was asked for.
        block: That the (first) instruction named.
        seed: Of the path, the disturbance and the noise.
        latency_ms: Asked for, [ms].
        delay: d, [ticks].
        mpg: Whether chunks were refined.
        uac: Whether the policy was told which rows were committed.
        success: Whether the hands were on target for long enough.
        on_target: Share of the time.
        error_mm: Mean distance to the named block, [mm].
        seam_step_rad: Largest change of a joint where a chunk took over, before guard and interpolation, [rad].
        seam_kink_rad: Mean change of that change there, [rad].
        inside_kink_rad: The same inside chunks, [rad].
        roughness_rad_s2: Root mean square acceleration of the rows, [rad/s^2].
        chunks: How many took over.
        violations: How many of them had been inferred for other rows than those that ran before them.
    """

    category: str
    robot: str
    condition: str
    posture: Posture
    block: Block
    seed: int
    latency_ms: float
    delay: int
    mpg: bool
    uac: bool
    success: bool
    on_target: float
    error_mm: float
    seam_step_rad: float
    seam_kink_rad: float
    inside_kink_rad: float
    roughness_rad_s2: float
    chunks: int
    violations: int


def run_job(job: Job) -> list[Episode]:
    """Run all episodes of a job: the same path, disturbance and noise for all methods."""
    spec = load_spec(job.setting.robot)
    twin = Twin(spec, job.seed)
    camera = _policy(job.bundle, spec.name, 0).robot.cameras[0]
    renderer = CameraRenderer(twin.model, camera)
    try:
        return [
            _run(job, twin, (camera, renderer), delay, method, block)
            for delay in job.delays
            for block in BLOCKS
            for method in METHODS
        ]
    finally:
        renderer.close()


def _run(
    job: Job, twin: Twin, camera: tuple[str, CameraRenderer], delay: Delay, method: Method, block: Block
) -> Episode:
    setting = job.setting
    condition = next(one for one in CONDITIONS if one.name == setting.condition)
    ticks = round(job.duration_s * twin.spec.action_hz)
    told = [INSTRUCTIONS[setting.posture].format(block=named) for named in condition.named(block, ticks)]
    # Each episode begins with the same noise, whatever ran before it in this process.
    policy = _policy(job.bundle, setting.robot, method.rounds).for_embodiment(setting.robot, seed=job.seed)
    adapter = EmbodimentAdapter(twin.spec, policy.robot, str(job.bundle))
    disturbance = None if condition.disturbance is None else condition.disturbance(job.seed)
    result = ClosedLoop(twin, camera, adapter, policy, lock=method.uac).run(told, delay.ticks, disturbance)
    return Episode(
        category=job.category,
        robot=setting.robot,
        condition=setting.condition,
        posture=setting.posture,
        block=block,
        seed=job.seed,
        latency_ms=delay.latency_ms,
        delay=delay.ticks,
        mpg=method.mpg,
        uac=method.uac,
        success=result.score.success,
        on_target=result.score.on_target,
        error_mm=1e3 * result.score.error,
        seam_step_rad=result.seams.largest_step,
        seam_kink_rad=result.seams.kink,
        inside_kink_rad=result.seams.kink_inside,
        roughness_rad_s2=result.seams.roughness,
        chunks=result.chunks,
        violations=result.violations,
    )


@cache
def _policy(bundle: Path, robot: str, rounds: int) -> Policy:
    return Policy.load(bundle, embodiment=robot, refinement_rounds=rounds)
