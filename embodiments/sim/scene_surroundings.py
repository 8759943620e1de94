"""What stands around the robot: table, light, the task's blocks, loose objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.embodiments.sim.scene_robot import OBJECT_BIT, ROBOT_BIT, WORLD_BIT

if TYPE_CHECKING:
    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.twin_spec import FollowTask, LooseObject, Twin

BLOCK_COLOURS: Final[dict[Block, tuple[float, float, float, float]]] = {
    "red": (0.85, 0.08, 0.08, 1.0),
    "blue": (0.10, 0.20, 0.85, 1.0),
}
"""Red, green, blue, opacity. A block's mocap body has the block's name."""

_TABLE_COLOUR: Final = (0.62, 0.64, 0.66, 1.0)
_FLOOR_COLOUR: Final = (0.42, 0.41, 0.40, 1.0)
_BOARD_HALF: Final = 0.02
_FLOOR_HALF: Final = 3.0
_FLOOR_BELOW: Final = 0.75
"""Height of a usual table, [m]."""


def add_table(scene: Any, twin: Twin) -> None:
    """A table: a plane where the robot stands on it, else a board over a floor."""
    (x0, x1), (y0, y1), height = twin.table_x, twin.table_y, twin.table_height
    centre, half = [(x0 + x1) / 2, (y0 + y1) / 2], [(x1 - x0) / 2, (y1 - y0) / 2]
    if x0 < 0.0 < x1 and y0 < 0.0 < y1:
        _add_static(scene, "table", mujoco.mjtGeom.mjGEOM_PLANE, [*centre, height], [*half, 0.1], _TABLE_COLOUR)
        return
    box = mujoco.mjtGeom.mjGEOM_BOX
    _add_static(scene, "table", box, [*centre, height - _BOARD_HALF], [*half, _BOARD_HALF], _TABLE_COLOUR)
    floor = [0.0, 0.0, height - _FLOOR_BELOW], [_FLOOR_HALF, _FLOOR_HALF, 0.1]
    _add_static(scene, "floor", mujoco.mjtGeom.mjGEOM_PLANE, *floor, _FLOOR_COLOUR)


def add_light(scene: Any, table_height: float) -> None:
    """A lamp over the table, and light from everywhere and from the camera's side."""
    position = [0.3, 0.4, table_height + 1.5]
    scene.worldbody.add_light(pos=position, dir=[-0.1, -0.25, -1.0], castshadow=False, diffuse=[0.5] * 3)
    scene.visual.headlight.ambient = [0.35] * 3
    scene.visual.headlight.diffuse = [0.35] * 3
    scene.visual.headlight.specular = [0.0] * 3


def add_blocks(scene: Any, task: FollowTask) -> None:
    """The blocks that hands follow; they touch nothing."""
    (x0, x1), (y0, y1) = task.region_x, task.region_y
    for name in BLOCKS:
        body = scene.worldbody.add_body(name=name, mocap=True, pos=[(x0 + x1) / 2, (y0 + y1) / 2, task.height])
        body.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[task.half_size] * 3,
            rgba=BLOCK_COLOURS[name],
            contype=0,
            conaffinity=0,
        )


def add_loose_object(scene: Any, loose: LooseObject) -> None:
    """A box that falls, and that the robot can push and grasp."""
    body = scene.worldbody.add_body(name=loose.name, pos=loose.position)
    body.add_freejoint(name=loose.name)
    body.add_geom(
        name=loose.name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=loose.half_size,
        mass=loose.mass,
        rgba=loose.colour,
        # Torsional friction lets two fingers hold it without its turning between them.
        condim=4,
        contype=OBJECT_BIT,
        conaffinity=ROBOT_BIT | WORLD_BIT | OBJECT_BIT,
    )


def _add_static(
    scene: Any, name: str, kind: Any, position: list[float], size: list[float], colour: tuple[float, ...]
) -> None:
    scene.worldbody.add_geom(
        name=name, type=kind, pos=position, size=size, rgba=colour, contype=WORLD_BIT, conaffinity=ROBOT_BIT
    )
