"""Something opaque that passes closely before the camera now and then."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from unichunk.embodiments.sim.mujoco_import import mujoco

PERIOD_S: Final = 5.0
"""One pass each."""

PASS_S: Final = (2.5, 4.0)
"""Shortest and longest duration of a pass, in and out of the picture included, [s]."""

DISTANCE: Final = 0.15
"""Distance of the board from the camera, [m]."""

WIDTH, HEIGHT = 0.62, 0.52
"""The board's size as shares of the picture's height: nearly a third of its centre square when all is in view."""

OFFSET: Final = 0.15
"""How far beside the picture's middle a pass goes at most, as a share of the picture's height."""

_THICKNESS: Final = 0.002


class _Pass(NamedTuple):
    duration_s: float
    direction: tuple[float, float]
    offset: float
    colour: tuple[float, float, float, float]


class Occlusion:
    """A hand-sized board that crosses the camera's view in a straight line, every time another one.

    Args:
        seed: Passes of equal seeds are equal.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pass = lru_cache(maxsize=8)(self._draw)

    def apply(self, scene: Any, time: float) -> None:
        """Put the board where it is at a time, [s], into a MuJoCo scene, if it is in view."""
        number, since = divmod(time, PERIOD_S)
        crossing = self._pass(int(number))
        if since >= crossing.duration_s:
            return
        view, other_eye = scene.camera
        forward, up = np.array(view.forward, np.float64), np.array(view.up, np.float64)
        right = np.cross(forward, up)
        picture = DISTANCE * (view.frustum_top - view.frustum_bottom) / view.frustum_near
        # From beyond one edge of the centre square to beyond the opposite one.
        along = (since / crossing.duration_s - 0.5) * (1.0 + 2 * max(WIDTH, HEIGHT))
        x = along * crossing.direction[0] - crossing.offset * crossing.direction[1]
        y = along * crossing.direction[1] + crossing.offset * crossing.direction[0]
        middle = (np.array(view.pos, np.float64) + np.array(other_eye.pos, np.float64)) / 2
        position = middle + DISTANCE * forward + picture * (x * right + y * up)
        mujoco.mjv_initGeom(
            scene.geoms[scene.ngeom],
            mujoco.mjtGeom.mjGEOM_BOX,
            np.array([WIDTH * picture / 2, HEIGHT * picture / 2, _THICKNESS]),
            position,
            np.stack([right, up, -forward], axis=1).reshape(9),
            np.array(crossing.colour, np.float32),
        )
        scene.ngeom += 1

    def _draw(self, number: int) -> _Pass:
        random = np.random.default_rng([self._seed, 0x0CC1, number])
        angle, grey = random.uniform(0.0, 2 * np.pi), random.uniform(0.25, 0.7)
        warmth = random.uniform(1.0, 1.3)
        return _Pass(
            duration_s=random.uniform(*PASS_S),
            direction=(np.cos(angle), np.sin(angle)),
            offset=random.uniform(-OFFSET, OFFSET),
            colour=(min(1.0, grey * warmth), grey, grey / warmth, 1.0),
        )
