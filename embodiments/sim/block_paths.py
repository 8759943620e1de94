"""The blocks' paths over the table: random, but pure functions of seed and time, so that a run can be replayed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from unichunk.embodiments.errors import SpecError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from unichunk.embodiments.twin_spec import FollowTask

Block = Literal["red", "blue"]
"""A block is called by its colour."""

BLOCKS: Final[tuple[Block, Block]] = ("red", "blue")
"""All of them, in the order of arrays that hold one entry for each."""

PAUSE_PROBABILITY: Final = 0.25
PAUSE: Final = (0.3, 1.5)
"""Shortest and longest pause, [s]."""

LEG_SHARE: Final = (0.35, 1.0)
"""How much of the way to a waypoint is gone before the next is drawn: small shares are sudden changes of direction."""

_TRIES: Final = 40
_STARTS: Final = 10_000
_AHEAD_S: Final = 1.0

_Point = tuple[float, float]


class BlockPaths:
    """Straight legs at random speeds towards random waypoints, cut short at random, with occasional pauses.

    The path that ends first grows next. A leg that would come too close to the other block, which is taken to stand
    where its own path ends, is drawn again; standing still is therefore always possible. Which of the two paths is
    red is drawn as well: nothing tells the colours apart.

    Args:
        seed: Paths of equal seeds are equal.
        task: Where the blocks may be, how fast they are and how far apart they stay.

    Raises:
        SpecError: Where the region has no room for two blocks that far apart.
    """

    def __init__(self, seed: int, task: FollowTask) -> None:
        self._task = task
        self._random = np.random.default_rng([seed, 0xB10C])
        first = self._waypoint()
        second = self._apart_from(first)
        self._lines = (_Line(first), _Line(second))
        colours = BLOCKS if self._random.random() < 0.5 else BLOCKS[::-1]
        self._by_colour = dict(zip(colours, self._lines, strict=True))

    def position(self, block: Block, time: ArrayLike) -> NDArray[np.float64]:
        """Where a block is.

        Args:
            block: Which one.
            time: Seconds since the path's start, not negative, any shape, [s].

        Returns:
            Positions over the table in the base, shape (..., 2), [m].
        """
        time = np.asarray(time, dtype=np.float64)
        line = self._by_colour[block]
        latest = float(time.max(initial=0.0))
        if line.end_time < latest:
            self._extend(latest + _AHEAD_S)
        return line.position(time)

    def _extend(self, latest: float) -> None:
        """Grow both paths beyond a time, [s]: some work about once a second, cheap reads in between."""
        first, second = self._lines
        while min(first.end_time, second.end_time) < latest:
            line, other = (first, second) if first.end_time <= second.end_time else (second, first)
            line.append(*self._next(line, other))
        first.freeze()
        second.freeze()

    def _next(self, line: _Line, other: _Line) -> tuple[float, _Point]:
        """When and where a path's next leg or pause ends."""
        random, (x, y) = self._random, line.end
        if random.random() < PAUSE_PROBABILITY:
            return line.end_time + random.uniform(*PAUSE), line.end
        for _ in range(_TRIES):
            to_x, to_y = self._waypoint()
            share, speed = random.uniform(*LEG_SHARE), random.uniform(*self._task.speed)
            end = x + share * (to_x - x), y + share * (to_y - y)
            time = line.end_time + max(float(np.hypot(end[0] - x, end[1] - y)), 1e-3) / speed
            if line.distance(time, end, other) >= self._task.clearance:
                return time, end
        return line.end_time + random.uniform(*PAUSE), line.end

    def _apart_from(self, first: _Point) -> _Point:
        """A waypoint as far from the first as the blocks stay from each other."""
        for _ in range(_STARTS):
            second = self._waypoint()
            if np.hypot(first[0] - second[0], first[1] - second[1]) >= self._task.clearance:
                return second
        raise SpecError(
            f"embodiment.twin.task.clearance: expected less, two blocks that keep {self._task.clearance:g} m apart do "
            "not fit into region_x and region_y"
        )

    def _waypoint(self) -> _Point:
        return self._random.uniform(*self._task.region_x), self._random.uniform(*self._task.region_y)


class _Line:
    """Times and corners of a path, which stands still beyond its end."""

    def __init__(self, start: _Point) -> None:
        self._times, self._points = [0.0], [start]
        self.freeze()

    @property
    def end_time(self) -> float:
        return self._times[-1]

    @property
    def end(self) -> _Point:
        return self._points[-1]

    def append(self, time: float, point: _Point) -> None:
        self._times.append(time)
        self._points.append(point)

    def freeze(self) -> None:
        """Make what was appended readable."""
        self._t = np.array(self._times)
        self._x, self._y = (np.array(values) for values in zip(*self._points, strict=True))

    def position(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.interp(time, self._t, self._x), np.interp(time, self._t, self._y)], axis=-1)

    def distance(self, time: float, end: _Point, other: _Line) -> float:
        """Least distance from the other path, [m], if a leg to `end` at `time` [s] were appended here."""
        corners = [corner for corner in other._times if corner > self.end_time]
        times = sorted({self.end_time, time, *corners})
        relative = []
        for t in times:
            done = min(1.0, (t - self.end_time) / (time - self.end_time))
            other_x, other_y = other._at(t)
            relative.append(
                (
                    self.end[0] + done * (end[0] - self.end[0]) - other_x,
                    self.end[1] + done * (end[1] - self.end[1]) - other_y,
                )
            )
        return min(_distance_from_origin(a, b) for a, b in pairwise(relative))

    def _at(self, time: float) -> _Point:
        """Where the path is at a time not before the other path's end: found from behind."""
        index = len(self._times) - 1
        if time >= self._times[index]:
            return self._points[index]
        while self._times[index - 1] > time:
            index -= 1
        (x0, y0), (x1, y1) = self._points[index - 1], self._points[index]
        done = (time - self._times[index - 1]) / (self._times[index] - self._times[index - 1])
        return x0 + done * (x1 - x0), y0 + done * (y1 - y0)


def _distance_from_origin(a: _Point, b: _Point) -> float:
    """Distance of the segment from a to b from the origin."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    done = 0.0 if length == 0.0 else min(1.0, max(0.0, -(a[0] * dx + a[1] * dy) / length))
    return float(np.hypot(a[0] + done * dx, a[1] + done * dy))
