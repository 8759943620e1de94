"""Between physical values and the normalized values of the unified space, per key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.policy.manifest import MeanStd, MinMax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from unichunk.runtime.policy.manifest import Key, Normalization


class Normalizer:
    """x -> (x - offset) / scale and back, one offset and scale per slot.

    Args:
        normalization: The mode and its parameters.
        width: Number of slots.
    """

    def __init__(self, normalization: Normalization, width: int) -> None:
        self._offset: NDArray[np.float64] = np.zeros(width)
        self._scale: NDArray[np.float64] = np.ones(width)
        if isinstance(normalization, MeanStd):
            self._offset = np.array(normalization.mean, np.float64)
            self._scale = _nonzero(np.array(normalization.std, np.float64))
        elif isinstance(normalization, MinMax):
            low, high = np.array(normalization.low, np.float64), np.array(normalization.high, np.float64)
            self._offset = (low + high) / 2
            self._scale = _nonzero((high - low) / 2)

    def normalize(self, values: ArrayLike) -> NDArray[np.float32]:
        """Physical (..., width) -> normalized (..., width)."""
        return ((np.asarray(values, np.float64) - self._offset) / self._scale).astype(np.float32)

    def denormalize(self, values: ArrayLike) -> NDArray[np.float32]:
        """Normalized (..., width) -> physical (..., width)."""
        return (np.asarray(values, np.float64) * self._scale + self._offset).astype(np.float32)


class SlotMap:
    """Places the keys of a section (`state` or `action`) in unified vectors and takes them out again.

    Args:
        section: `state` or `action`, the prefix of the keys.
        keys: Key -> slots and normalization.
        width: Width of the unified vectors.
    """

    def __init__(self, section: str, keys: Mapping[str, Key], width: int) -> None:
        self._section = section
        self._width = width
        self._keys = {
            f"{section}.{name}": (slice(*key.slots), Normalizer(key.normalization, key.width), key.width)
            for name, key in keys.items()
        }

    @property
    def widths(self) -> dict[str, int]:
        """`<section>.<key>` -> number of values."""
        return {name: width for name, (_, _, width) in self._keys.items()}

    def encode(self, values: Mapping[str, ArrayLike], rows: int) -> NDArray[np.float32]:
        """Physical values per key, each (rows, width), to unified rows (rows, 200); other slots are 0."""
        unified = np.zeros((rows, self._width), np.float32)
        for name, (slots, normalizer, _) in self._keys.items():
            unified[:, slots] = normalizer.normalize(values[name])
        return unified

    def decode(self, unified: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Unified rows (rows, 200) to physical values per key, each (rows, width)."""
        return {name: normalizer.denormalize(unified[:, slots]) for name, (slots, normalizer, _) in self._keys.items()}


def _nonzero(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """A slot that never varied is centred, not divided by zero."""
    return np.where(np.abs(scale) < 1e-8, 1.0, scale)
