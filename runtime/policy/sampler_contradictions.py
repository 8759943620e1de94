"""What a manifest may claim of its sampler, and of what its graphs ask for beside images, text and state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from unichunk.runtime.policy.manifest import Ddim, RectifiedFlow, Regression
from unichunk.runtime.policy.optional_inputs import FIELDS_OF_VIEW, declared_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.runtime.policy.manifest import Manifest, RobotEntry


def sampler_complaints(manifest: Manifest) -> Iterator[str]:
    """What the sampler cannot be, or its graphs cannot have: steps, refinement rounds, guidance to the running plan."""
    sampler = manifest.sampler
    if isinstance(sampler, Ddim):
        yield from _ddim_complaints(sampler, manifest)
    if isinstance(sampler, Regression) and manifest.denoising_steps != 1:
        yield f"denoising_steps: expected 1, since a regression denoises nothing, got {manifest.denoising_steps}"
    if isinstance(sampler, RectifiedFlow):
        return
    kind = "a DDIM sampler" if isinstance(sampler, Ddim) else "a regression"
    for index, graph in enumerate(manifest.graphs.chunks):
        label = f"graphs.chunks[{index}]"
        if graph.refinement_rounds:
            yield f"{label}.refinement_rounds: expected 0, since {kind} has no gates, got {graph.refinement_rounds}"
        if graph.guided:
            yield f"{label}.guided: expected false, since {kind} has no velocity to steer"
        if isinstance(sampler, Regression) and graph.denoising_steps not in {None, 1}:
            yield f"{label}.denoising_steps: expected 1, as nothing is denoised, got {graph.denoising_steps}"


def _ddim_complaints(sampler: Ddim, manifest: Manifest) -> Iterator[str]:
    if not (math.isfinite(sampler.guidance_scale) and sampler.guidance_scale >= 0):
        yield f"sampler.guidance_scale: expected a number, 0 or more, got {sampler.guidance_scale}"
    steps = [("denoising_steps", manifest.denoising_steps)]
    chunks = enumerate(manifest.graphs.chunks)
    steps += [(f"graphs.chunks[{index}].denoising_steps", graph.denoising_steps or 1) for index, graph in chunks]
    for label, count in steps:
        if count > sampler.training_steps:
            yield f"{label}: expected at most sampler.training_steps ({sampler.training_steps}), got {count}"


def field_of_view_complaints(manifest: Manifest) -> Iterator[str]:
    """Robots whose cameras' fields of view are missing where graphs ask for them, or cannot be such."""
    needed = FIELDS_OF_VIEW in declared_inputs(manifest.graphs)
    for name, robot in manifest.robots.items():
        label = f"robots.{name}.fields_of_view"
        if len(robot.fields_of_view) != len(robot.cameras) and (needed or robot.fields_of_view):
            expected = f"one for each of the {len(robot.cameras)} cameras"
            yield f"{label}: expected {expected}, got {len(robot.fields_of_view)}"
        yield from _angle_complaints(label, robot)


def _angle_complaints(label: str, robot: RobotEntry) -> Iterator[str]:
    for index, angles in enumerate(robot.fields_of_view):
        if not all(0 < angle < math.pi for angle in angles):
            yield f"{label}[{index}]: expected two angles between 0 and pi, [rad], got {list(angles)}"
