"""How the simulated world is lit: mildly different from day to day, or changing wildly while the robot works."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AIM: Final = np.array([0.24, 0.0, 0.0])
_ROOM: Final = 0.35
_LAMP: Final = 0.5


@dataclass(frozen=True)
class Lighting:
    """One setting of the lights.

    Attributes:
        lamp: Strength of the lamp over the table; 1 is that of the undisturbed world.
        room: Strength of what comes from everywhere and from the camera's side; 1 is that of the undisturbed world.
        tint: Factors on red, green and blue of both.
        position: Where the lamp is, in the base link, [m]; it shines on the middle of the blocks' region.
    """

    lamp: float
    room: float
    tint: tuple[float, float, float]
    position: tuple[float, float, float]

    @classmethod
    def of_numbers(cls, numbers: NDArray[np.float64]) -> Lighting:
        """From the eight numbers in the order of the attributes."""
        lamp, room, red, green, blue, x, y, z = numbers.tolist()
        return cls(lamp, room, (red, green, blue), (x, y, z))

    @cached_property
    def _tint(self) -> NDArray[np.float64]:
        return np.array(self.tint)

    def apply(self, scene: Any, time: float) -> None:  # noqa: ARG002 - the same at all times
        """Light a MuJoCo scene, whose lights are the head light and one lamp."""
        for light in scene.lights[: scene.nlight]:
            if light.headlight:
                light.ambient[:] = light.diffuse[:] = self.room * _ROOM * self._tint
            else:
                light.diffuse[:] = self.lamp * _LAMP * self._tint
                light.pos[:] = self.position
                direction = _AIM - light.pos
                light.dir[:] = direction / np.linalg.norm(direction)


@dataclass(frozen=True)
class LightingRange:
    """What lightings are drawn from, uniformly and independently.

    Attributes:
        lowest: Eight numbers as in `Lighting.of_numbers`.
        highest: Likewise.
    """

    lowest: tuple[float, ...]
    highest: tuple[float, ...]

    def draw(self, random: np.random.Generator) -> Lighting:
        """One lighting."""
        return Lighting.of_numbers(random.uniform(self.lowest, self.highest))


MILD: Final = LightingRange(
    (0.75, 0.8, 0.93, 0.93, 0.93, 0.05, 0.15, 1.35), (1.25, 1.2, 1.07, 1.07, 1.07, 0.55, 0.65, 1.65)
)
"""What demonstrations are recorded in: the same room on another day."""

STRONG: Final = LightingRange((0.0, 0.3, 0.5, 0.5, 0.5, -0.6, -1.2, 0.7), (2.4, 1.6, 1.5, 1.5, 1.5, 1.4, 1.2, 1.7))
"""What evaluations disturb with: lamp off or glaring, dusk, coloured light, light from anywhere."""

HOLD_S: Final = 1.5
FADE_S: Final = 0.5
"""A changing lighting stays for a while and then fades to the next."""


class ChangingLighting:
    """Strong lighting that changes every two seconds; a pure function of seed and time.

    Args:
        seed: Lightings of equal seeds are equal.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._setting = lru_cache(maxsize=8)(self._draw)

    def apply(self, scene: Any, time: float) -> None:
        """Light a MuJoCo scene as at a time, [s]."""
        number, since = divmod(time, HOLD_S + FADE_S)
        fade = max(0.0, since - HOLD_S) / FADE_S
        numbers = (1.0 - fade) * self._setting(int(number)) + fade * self._setting(int(number) + 1)
        Lighting.of_numbers(numbers).apply(scene, time)

    def _draw(self, number: int) -> NDArray[np.float64]:
        random = np.random.default_rng([self._seed, 0x11647, number])
        return random.uniform(STRONG.lowest, STRONG.highest)
