"""The noise that a chunk starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy.arrays import in_words, numbers, require_finite, without_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest, RobotEntry


class NoiseSource:
    """Gaussian noise from a seed, or what somebody gives, in the slots in which the policy was trained with it.

    Where the manifest's noise is `own`, everything outside the slots of the robot's actions is zero, in noise that is
    drawn and in noise that is given. The same seed draws the same values in the robot's slots either way.

    Args:
        manifest: The bundle's description.
        robot: The robot whose chunk it is.
        refinement_rounds: N.
        seed: A whole number, 0 or more.

    Raises:
        BundleError: Where the seed is none.
    """

    def __init__(self, manifest: Manifest, robot: RobotEntry, refinement_rounds: int, seed: int) -> None:
        self._random = generator(seed)
        self._shape = (1 + refinement_rounds, manifest.chunk_length, manifest.unified_width)
        self._others = silent_slots(manifest, robot)

    def draw(self) -> NDArray[np.float32]:
        """The next noise of the seed, shape (1 + N, T, 200)."""
        return self._in_slots(self._random.standard_normal(self._shape, np.float32))

    def check(self, given: Any) -> NDArray[np.float32]:
        """Noise that was given, shape (1 + N, T, 200), or (T, 200) without refinement; the array is not written to.

        Raises:
            ObservationError: Not of this shape, or not finite as float32.
        """
        noise = without_batch(numbers("noise", given, np.float32), 3)
        if noise.ndim == len(self._shape) - 1:
            noise = noise[None]
        if noise.shape != self._shape:
            raise ObservationError(f"noise: expected shape {self._shape}, got {noise.shape}")
        require_finite("noise", noise)
        return np.ascontiguousarray(self._in_slots(noise.copy()))

    def _in_slots(self, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        noise[..., self._others] = 0
        return noise


def silent_slots(manifest: Manifest, robot: RobotEntry) -> NDArray[np.int64]:
    """Slots in which rows of this robot hold nothing but zeros; none where the policy was trained with noise in all."""
    if manifest.noise == "all":
        return np.empty(0, np.int64)
    own = [slot for key in robot.action.values() for slot in range(*key.slots)]
    return np.setdiff1d(np.arange(manifest.unified_width), own)


def generator(seed: int) -> np.random.Generator:
    """The generator of a seed.

    Raises:
        BundleError: Where the seed is none.
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise BundleError(f"seed: expected a whole number, 0 or more, got {in_words(seed)}") from None
