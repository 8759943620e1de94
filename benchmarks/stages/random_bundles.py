"""Bundles of random weights for any number of views, Euler steps and refinement rounds, for a robot that is known.

Weights are random and sizes those of a published architecture: arithmetic and memory are those of a trained policy,
what comes out means nothing. Actions are normalized to the joints' limits (or small displacements), so the robot moves
within them. Needs the extra `compile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np

from unichunk.benchmarks.harness.extras import missing_extras
from unichunk.runtime.compile.sizes import BEING_H_2B, Sizes
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from unichunk.benchmarks.stages.case import Case
    from unichunk.embodiments.spec import EmbodimentSpec, JointGroup

Size = Literal["tiny", "small", "2b"]
Form = Literal["joints", "poses"]

SIZES: Final[dict[Size, Sizes]] = {
    "tiny": Sizes(rows=16, steps=4),
    "small": Sizes(
        vision_width=256,
        vision_layers=6,
        vision_heads=8,
        vision_mlp=1024,
        vision_image_size=224,
        image_size=224,
        width=512,
        mlp=1536,
        layers=12,
        heads=8,
        kv_heads=4,
        head_dim=64,
        expert_width=256,
        expert_mlp=768,
        rows=16,
        steps=4,
        mpg_projections=32,
    ),
    "2b": BEING_H_2B,
}
"""As small as tests like it; 60 million parameters or so; the published 2B model."""

DATASET: Final = "random"
SHIFT_M: Final = 0.001
TURN_RAD: Final = 0.005
"""What the numbers from -1 to 1 mean as displacement of an end effector in a row, [m] and [rad]: small, because random
weights say much the same in every row, and what they say adds up."""


def write_random_checkpoint(
    folder: Path, size: Size | Sizes, spec: EmbodimentSpec, form: Form, most_views: int
) -> None:
    """Write a checkpoint for a robot.

    Args:
        folder: Where; must not exist yet.
        size: Of the model, by name or in full.
        spec: The robot; its cameras are the views, in their order.
        form: Whether actions are joint positions or displacements of end effectors.
        most_views: As many cameras as any bundle of it will have views.

    Raises:
        UnichunkError: The extra `compile` is not installed, or the robot has no end effector.
    """
    if form == "poses" and not spec.end_effectors:
        raise UnichunkError(f"--form poses: {spec.name} has no end effector; choose --form joints")
    missing = missing_extras("compile")
    if missing:
        raise UnichunkError(f"--random {missing}")
    from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: PLC0415  (the extra)

    sizes = size if isinstance(size, Sizes) else SIZES[size]
    random_checkpoint(folder, sizes, metadata={DATASET: {DATASET: _metadata(spec, form, most_views)}})


def compile_case(checkpoint: Path, out: Path, case: Case, spec: EmbodimentSpec, form: Form) -> None:
    """Compile a random checkpoint for a robot, with one number of views, Euler steps and refinement rounds.

    Args:
        checkpoint: What `write_random_checkpoint` wrote.
        out: Where the bundle shall be.
        case: What it is for.
        spec: The robot, with as many cameras as the case has views.
        form: As the checkpoint's.

    Raises:
        UnichunkError: Numbers that the compiler does not take.
    """
    from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: PLC0415
    from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: PLC0415
    from unichunk.runtime.compile.robots import RobotSource  # noqa: PLC0415

    config = out.with_name(f"{out.name}-config.json")
    config.write_bytes(msgspec.json.encode(data_config(spec, form)))
    source = RobotSource(config, DATASET, name=spec.name)
    options = CompileOptions(robots=(source,), steps=(case.steps,), refinement_rounds=case.rounds)
    compile_checkpoint(checkpoint, out, options)


def data_config(spec: EmbodimentSpec, form: Form) -> dict[str, Any]:
    """Content of the data configuration: the robot's cameras and groups."""
    state = {name: {"slots": group.slots, "mode": "min_max"} for name, group in spec.groups.items()}
    action: dict[str, Any] = {}
    for name in _own_groups(spec, form):
        action[name] = state[name]
    if form == "poses":
        for side, effector in spec.end_effectors.items():
            action[f"{side}_eef_position"] = {"slots": effector.position, "mode": "min_max"}
            action[f"{side}_eef_rotation"] = {"slots": effector.rotation, "mode": "min_max", "rotation": "axis_angle"}
    return {"name": DATASET, "views": list(spec.cameras), "noise": "own", "state": state, "action": action}


def _own_groups(spec: EmbodimentSpec, form: Form) -> Iterable[str]:
    """Groups that actions move by their joints."""
    moved = {name for effector in spec.end_effectors.values() for name in effector.groups} if form == "poses" else set()
    return [name for name in spec.groups if name not in moved]


def _metadata(spec: EmbodimentSpec, form: Form, views: int) -> dict[str, Any]:
    cameras = [*spec.cameras][:views]
    joints = {name: _joint_range(group) for name, group in spec.groups.items()}
    action = {name: joints[name] for name in _own_groups(spec, form)}
    if form == "poses":
        for side in spec.end_effectors:
            action[f"{side}_eef_position"] = _range([-SHIFT_M] * 3, [SHIFT_M] * 3)
            action[f"{side}_eef_rotation"] = _range([-TURN_RAD] * 3, [TURN_RAD] * 3)
    sections = {"state": joints, "action": action}
    return {
        "statistics": sections,
        "modalities": {
            "video": {
                name: {"resolution": [spec.cameras[name].width, spec.cameras[name].height], "fps": spec.action_hz}
                for name in cameras
            },
            **{
                section: {
                    name: {"shape": [len(values["min"])], "rotation_type": _rotation_type(name)}
                    for name, values in keys.items()
                }
                for section, keys in sections.items()
            },
        },
        "embodiment_tag": spec.name,
        "stats_level": "merged",
    }


def _rotation_type(key: str) -> str | None:
    return "axis_angle" if key.endswith("eef_rotation") else None


def _joint_range(group: JointGroup) -> dict[str, list[float]]:
    """A group's joint limits, in the units of its slots."""
    offset, scale = group.slot_units
    limits = np.array([[joint.lower, joint.upper] for joint in group.joints]).T
    ends = np.sort((limits - offset) / scale, axis=0)
    return _range(ends[0].tolist(), ends[1].tolist())


def _range(low: list[float], high: list[float]) -> dict[str, list[float]]:
    return {"min": low, "max": high}
