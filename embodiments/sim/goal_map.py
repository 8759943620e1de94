"""Joint positions that hold the hands at their points, as a smooth function of the block's place."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.follow_frames import FollowFrames
from unichunk.embodiments.sim.hands import Hands
from unichunk.embodiments.sim.surface import Surface
from unichunk.embodiments.spec import EmbodimentSpec
from unichunk.kinematics import FrameGoal, InverseKinematics
from unichunk.kinematics.errors import KinematicsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACING: Final = 0.015
"""Largest distance of neighbouring points of the grid, [m]: cubic interpolation is then good to a fifth of a mm."""

BEYOND: Final = 1
"""How many points the grid goes on beyond the region on each side: what cubic interpolation needs."""

ORIENTATION_WEIGHT: Final = 0.01
"""How much the frame's direction counts beside its position: with `ROTATION_LENGTH`, 0.2 mm for a radian."""

ROTATION_LENGTH: Final = 0.02
"""What a radian counts for at equal weights, [m]."""

POSTURE_GAIN: Final = 0.1
ROUNDS: Final = 2
"""Solutions of one point, each from the one before: lets the null space arrive at the rest posture."""

LIMIT_MARGIN: Final = 0.05
"""Distance kept from the position limits, [rad]: room for what an expert, noise and servos add."""

LARGEST_ERROR: Final = 1e-3
"""A point that cannot be reached this closely is refused, [m]."""

LARGEST_STEP: Final = 0.35
"""Neighbouring points whose joint positions differ by more are on two branches, [rad]."""


class GoalMap:
    """Goals of the follow task for blocks anywhere in its region.

    A grid of points is solved by inverse kinematics, from the middle outwards, each from its neighbour nearer to the
    middle, so that no arm changes its branch. The arms of the hands in the task move, everything else stays at rest;
    hands and grippers are half-way between open and closed.

    Args:
        spec: The robot; its twin has a task.

    Raises:
        SpecError: Where a point is out of reach, the solution is not continuous, or no arm moves a hand.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        try:
            self.frames = FollowFrames(spec)
        except KinematicsError as error:
            raise SpecError(f"embodiment.twin.task.hands of {spec.name}: {error}") from None
        self._spec, task = spec, self.frames.task
        hands = Hands(spec)
        self._rest = spec.rest.copy()
        self._rest[hands.index] = hands.values("half")
        self._xs, self._ys = _grid(*task.region_x), _grid(*task.region_y)
        self._solver = self._inverse_kinematics()
        self._surface = Surface(self._xs, self._ys, self._solve())

    def joints(self, ground: NDArray[np.float64]) -> NDArray[np.float64]:
        """Joint positions for a block at these places.

        Args:
            ground: The block's place over the table in the base, shape (..., 2), [m]; what is outside the grid is
                taken to be on its edge.

        Returns:
            Shape (..., n), [rad].
        """
        return self._surface(ground)

    def _inverse_kinematics(self) -> InverseKinematics:
        """A solver whose limits are the spec's, with a margin."""
        spec, model = self._spec, self.frames.model
        margin = np.minimum(LIMIT_MARGIN, 0.1 * (spec.limits.upper - spec.limits.lower))
        model.lowerPositionLimit[self.frames.columns] = np.minimum(spec.limits.lower + margin, self._rest)
        model.upperPositionLimit[self.frames.columns] = np.maximum(spec.limits.upper - margin, self._rest)
        sides = set(self.frames.task.hands)
        arms = [
            name
            for group in spec.groups.values()
            if group.kind == "arm" and group.side in sides
            for name in group.joint_names
        ]
        goals: list[FrameGoal] = []
        for hover in self.frames.task.hands.values():
            goals += [FrameGoal(hover.frame, "position"), FrameGoal(hover.frame, "orientation", ORIENTATION_WEIGHT)]
        try:
            return InverseKinematics(
                model, goals, joints=arms, rotation_length=ROTATION_LENGTH, attempts=1, posture_gain=POSTURE_GAIN
            )
        except KinematicsError as error:
            raise SpecError(f"embodiment.twin.task.hands of {spec.name}: {error}") from None

    def _solve(self) -> NDArray[np.float64]:
        """Joint positions on the grid, shape (X, Y, n), [rad]."""
        orientations = self.frames.orientations(self._rest)
        middle = len(self._xs) // 2, len(self._ys) // 2
        anchor = self.frames.configuration(self._rest)
        found: dict[tuple[int, int], NDArray[np.float64]] = {}
        places = [(i, j) for i in range(len(self._xs)) for j in range(len(self._ys))]
        for place in sorted(places, key=lambda place: (_ring(place, middle), place)):
            start = anchor if place == middle else found[_inward(place, middle)]
            found[place] = self._point(place, start, anchor, orientations)
        grid = np.stack([[found[i, j] for j in range(len(self._ys))] for i in range(len(self._xs))])
        self._check_continuity(grid)
        joints: NDArray[np.float64] = grid[..., self.frames.columns]
        return joints

    def _point(
        self,
        place: tuple[int, int],
        start: NDArray[np.float64],
        anchor: NDArray[np.float64],
        orientations: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Configuration of the model for one point of the grid, shape (nq,)."""
        ground = np.array([self._xs[place[0]], self._ys[place[1]]])
        poses = np.tile(np.eye(4), (len(orientations), 1, 1))
        poses[:, :3, :3], poses[:, :3, 3] = orientations, self.frames.points(ground)
        solution = self._solver.solve(np.tile(poses.repeat(2, axis=0), (ROUNDS, 1, 1, 1)), start, posture=anchor)
        error = float(solution.position_error[-1].max())
        if error > LARGEST_ERROR:
            raise SpecError(
                f"embodiment.twin.task of {self._spec.name}: with a block at ({ground[0]:.3f}, {ground[1]:.3f}) m a "
                f"hand misses its point by {1e3 * error:.1f} mm, expected {1e3 * LARGEST_ERROR:g} at most; move the "
                "region or the offsets, or start from another rest pose"
            )
        q: NDArray[np.float64] = solution.q[-1]
        return q

    def _check_continuity(self, grid: NDArray[np.float64]) -> None:
        for axis, (dx, dy) in enumerate(((1, 0), (0, 1))):
            steps = np.abs(np.diff(grid, axis=axis)).max(axis=-1)
            i, j = np.unravel_index(int(steps.argmax()), steps.shape)
            if steps[i, j] > LARGEST_STEP:
                raise SpecError(
                    f"embodiment.twin.task of {self._spec.name}: between blocks at ({self._xs[i]:.3f}, "
                    f"{self._ys[j]:.3f}) and ({self._xs[i + dx]:.3f}, {self._ys[j + dy]:.3f}) m a joint jumps by "
                    f"{steps[i, j]:.2f} rad, expected {LARGEST_STEP} at most; move the region away from the "
                    "singularity, or start from another rest pose"
                )


def goal_map(spec: EmbodimentSpec) -> GoalMap:
    """The robot's goal map, made once in a process for equal specs."""
    return _goal_map(msgspec.json.encode(spec))


@lru_cache(maxsize=16)
def _goal_map(spec: bytes) -> GoalMap:
    return GoalMap(msgspec.json.decode(spec, type=EmbodimentSpec))


def _grid(low: float, high: float) -> NDArray[np.float64]:
    count = max(1, int(np.ceil((high - low) / SPACING - 1e-9)))
    grid: NDArray[np.float64] = np.linspace(low, high, count + 1)
    outside = (grid[1] - grid[0]) * np.arange(1, BEYOND + 1)
    return np.concatenate([low - outside[::-1], grid, high + outside])


def _ring(place: tuple[int, int], middle: tuple[int, int]) -> int:
    return max(abs(place[0] - middle[0]), abs(place[1] - middle[1]))


def _inward(place: tuple[int, int], middle: tuple[int, int]) -> tuple[int, int]:
    """The neighbour in the next smaller ring."""
    ring = _ring(place, middle)
    away = place[0] - middle[0], place[1] - middle[1]
    i, j = (distance - int(np.sign(distance)) * (abs(distance) == ring) for distance in away)
    return middle[0] + i, middle[1] + j
