"""Complaints about the part of a spec that describes the simulated robot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from unichunk.embodiments.spec import JointGroup
    from unichunk.embodiments.twin_spec import FollowTask, LooseObject, Twin

_TAKEN: Final = ("red", "blue", "table", "floor", "world")

LARGEST_CLEARANCE: Final = 0.45
"""Largest clearance of two blocks, as a part of their region's diagonal: one of fifty places in the region is then far
enough from its middle, and more from anywhere else. From half of it on, none need be."""

WIDEST_REGION: Final = 2.0
"""A task's region is not wider than this, [m]: inverse kinematics solves a fine grid of it."""


def twin_complaints(twin: Twin, groups: Iterable[JointGroup]) -> Iterator[str]:
    """Everything that is wrong with a twin, each with the path of the key in the spec.

    Args:
        twin: The simulated robot.
        groups: The robot's joints.
    """
    for label, bounds in (("table_x", twin.table_x), ("table_y", twin.table_y)):
        yield from _range_complaints(f"twin.{label}", bounds)
    if twin.task is not None:
        yield from _task_complaints("twin.task", twin.task)
        arms = {str(group.side) for group in groups if group.kind == "arm"}
        for side in twin.task.hands:
            if side not in arms:
                known = f"an arm ({', '.join(sorted(arms))})" if arms else "an arm, the robot has none"
                yield f"twin.task.hands: expected sides that have {known}, got {side!r}"
    names = [thing.name for thing in twin.objects]
    for i, thing in enumerate(twin.objects):
        where = f"twin.objects[{i}]"
        if thing.name in (*_TAKEN, *names[:i]):
            yield f"{where}.name: expected a name that nothing else has, got {thing.name!r}"
        yield from _object_complaints(where, thing)


def _task_complaints(where: str, task: FollowTask) -> Iterator[str]:
    for label, bounds in (("region_x", task.region_x), ("region_y", task.region_y)):
        yield from _range_complaints(f"{where}.{label}", bounds)
        if bounds[1] - bounds[0] > WIDEST_REGION:
            yield f"{where}.{label}: expected {WIDEST_REGION:g} m at most from end to end, got {list(bounds)}"
    slowest, fastest = task.speed
    if not 0 < slowest <= fastest:
        yield f"{where}.speed: expected the slowest, more than 0, then the fastest, got {list(task.speed)}"
    if task.clearance <= 2 * task.half_size:
        yield (
            f"{where}.clearance: expected more than a block's edge ({2 * task.half_size:g} m), or blocks meet, got "
            f"{task.clearance:g}"
        )
    diagonal = math.hypot(task.region_x[1] - task.region_x[0], task.region_y[1] - task.region_y[0])
    if task.clearance > LARGEST_CLEARANCE * diagonal:
        yield (
            f"{where}.clearance: expected at most {LARGEST_CLEARANCE * diagonal:.3g} m ({LARGEST_CLEARANCE:g} of the "
            f"diagonal of region_x and region_y), or two blocks hardly fit, got {task.clearance:g}"
        )
    for side, hover in task.hands.items():
        if hover.axis is not None and abs(math.hypot(*hover.direction) - 1) > 1e-3:
            yield f"{where}.hands.{side}.direction: expected a unit vector, got {list(hover.direction)}"


def _object_complaints(where: str, thing: LooseObject) -> Iterator[str]:
    if min(thing.half_size) <= 0:
        yield f"{where}.half_size: expected more than 0 in each direction, got {list(thing.half_size)}"
    if not all(0 <= part <= 1 for part in thing.colour):
        yield f"{where}.colour: expected red, green, blue and opacity of 0 to 1, got {list(thing.colour)}"


def _range_complaints(where: str, bounds: tuple[float, float]) -> Iterator[str]:
    if not bounds[0] < bounds[1]:
        yield f"{where}: expected the lower bound, then the upper one, got {list(bounds)}"
