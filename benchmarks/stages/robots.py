"""A robot with as many cameras as a policy has views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.embodiments.spec import EmbodimentSpec

STAND_IN: Final = "unichunk.benchmarks.stages.stand_in:StandInRobot"


def with_views(spec: EmbodimentSpec, views: int) -> EmbodimentSpec:
    """The robot with its first cameras; with copies of its first one, beside it, where it has fewer.

    Args:
        spec: The robot, with at least one camera.
        views: How many cameras, at least 1.
    """
    cameras = dict(list(spec.cameras.items())[:views])
    first_name, first = next(iter(spec.cameras.items()))
    while len(cameras) < views:
        cameras[f"{first_name}_{len(cameras) + 1}"] = first
    return msgspec.structs.replace(spec, cameras=cameras)


def with_stand_in(spec: EmbodimentSpec) -> EmbodimentSpec:
    """The robot with the stand-in as its hardware."""
    return msgspec.structs.replace(spec, driver=STAND_IN)


def write_spec(spec: EmbodimentSpec, folder: Path) -> Path:
    """Write a spec, for a driver's process to read; its file is named after the robot."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{spec.name}.json"
    path.write_bytes(msgspec.json.encode(spec))
    return path
