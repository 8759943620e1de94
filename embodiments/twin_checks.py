"""Complaints about the part of a spec that describes the simulated robot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.twin_spec import FollowTask, LooseObject, Twin

_TAKEN: Final = ("red", "blue", "table")


def twin_complaints(twin: Twin) -> Iterator[str]:
    """Everything that is wrong with a twin, each with the path of the key in the spec."""
    for label, bounds in (("table_x", twin.table_x), ("table_y", twin.table_y)):
        yield from _range_complaints(f"twin.{label}", bounds)
    if twin.task is not None:
        yield from _task_complaints("twin.task", twin.task)
    names = [thing.name for thing in twin.objects]
    for i, thing in enumerate(twin.objects):
        where = f"twin.objects[{i}]"
        if thing.name in (*_TAKEN, *names[:i]):
            yield f"{where}.name: expected a name that nothing else has, got {thing.name!r}"
        yield from _object_complaints(where, thing)


def _task_complaints(where: str, task: FollowTask) -> Iterator[str]:
    for label, bounds in (("region_x", task.region_x), ("region_y", task.region_y)):
        yield from _range_complaints(f"{where}.{label}", bounds)
    slowest, fastest = task.speed
    if not 0 < slowest <= fastest:
        yield f"{where}.speed: expected the slowest, more than 0, then the fastest, got {list(task.speed)}"
    if task.clearance <= 2 * task.half_size:
        yield (
            f"{where}.clearance: expected more than a block's edge ({2 * task.half_size:g} m), or blocks meet, got "
            f"{task.clearance:g}"
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
