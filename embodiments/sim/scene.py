"""The simulated world of any robot: its model with servos, a table, a light, cameras, and what stands around."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.scene_cameras import add_cameras
from unichunk.embodiments.sim.scene_robot import robot_scene
from unichunk.embodiments.sim.scene_surroundings import add_blocks, add_light, add_loose_object, add_table

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec

LONGEST_TIMESTEP: Final = 0.002
"""The physics step is the longest that divides the command period and is not longer than this, [s]."""


def timestep(spec: EmbodimentSpec) -> float:
    """Physics step of a robot's twin, [s]."""
    return 1.0 / (spec.command_hz * steps_per_command(spec))


def steps_per_command(spec: EmbodimentSpec) -> int:
    """How many physics steps make a command period."""
    return math.ceil(1.0 / (spec.command_hz * LONGEST_TIMESTEP) - 1e-9)


def build_model(spec: EmbodimentSpec, *, objects: bool = False) -> Any:
    """The robot's world as a compiled `mujoco.MjModel`.

    Joints and actuators have the order and the names of the spec; position limits and forces are the spec's.

    Args:
        spec: The robot.
        objects: Whether the loose objects of `spec.twin` are there.

    Raises:
        SpecError: Where the robot has no twin, the spec names a joint or a link that its model lacks, or MuJoCo cannot
            read the model.
    """
    twin = spec.twin
    if twin is None:
        raise SpecError(f"embodiment.twin: {spec.name} has no simulated twin: expected an object, got null")
    scene = robot_scene(spec, timestep(spec), gravity_compensated=twin.gravity_compensated)
    scene.visual.quality.offsamples = 0
    scene.visual.global_.offwidth = max([640, *(camera.width for camera in spec.cameras.values())])
    scene.visual.global_.offheight = max([480, *(camera.height for camera in spec.cameras.values())])
    try:
        add_table(scene, twin)
        add_light(scene, twin.table_height)
        if twin.task is not None:
            add_blocks(scene, twin.task)
        if objects:
            for loose in twin.objects:
                add_loose_object(scene, loose)
        add_cameras(scene, spec.cameras)
        return scene.compile()
    except SpecError:
        raise
    except ValueError as error:
        # A name that something else has, or what cannot be simulated.
        raise SpecError(f"embodiment.model: {spec.model}: MuJoCo cannot simulate it ({_line(error)})") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
