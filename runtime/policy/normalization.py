"""Between physical values and the normalized values of the unified space, per key.

The formulas are those of the published training code, for slots that never varied too: what a policy saw there in
training is what it must see.

| mode     | in                                          | in, where it never varied | out                            |
|----------|---------------------------------------------|---------------------------|--------------------------------|
| none     | x                                           |                           | y                              |
| mean_std | (x - mean) / std                            | x                         | y std + mean                   |
| min_max  | 2 (x - low) / (high - low) - 1              | 0                         | (y + 1) / 2 (high - low) + low |
| q99      | the same with q01 and q99, clipped to -1, 1 | x, clipped                | the same with q01 and q99      |
| binary   | 1 where x > 0.5, else 0                     |                           | 1 where y > 0.5, else 0        |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unichunk.runtime.policy.manifest import Binary, MeanStd, MinMax, Quantiles
from unichunk.runtime.policy.rotation import axis_angle, rotation_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from unichunk.runtime.policy.manifest import Key, Normalization, RotationInput


class Normalizer:
    """Physical values to normalized ones and back, with parameters of their own for each slot.

    Args:
        normalization: The mode and its parameters.
        width: Number of slots.
    """

    def __init__(self, normalization: Normalization, width: int) -> None:
        self._binary = isinstance(normalization, Binary)
        self._clipped = isinstance(normalization, Quantiles)
        # in: (x - offset) / divisor; out: y * scale + offset
        self._offset: NDArray[np.float64] = np.zeros(width)
        self._scale: NDArray[np.float64] = np.ones(width)
        self._shift: NDArray[np.float64] = np.zeros(width)
        self._divisor: NDArray[np.float64] = np.ones(width)
        if isinstance(normalization, MeanStd):
            self._offset, self._scale = _float32(normalization.mean), _float32(normalization.std)
            constant = self._scale == 0
            self._shift = np.where(constant, 0, self._offset)
            self._divisor = np.where(constant, 1, self._scale)
        elif isinstance(normalization, MinMax):
            self._set_range(normalization.low, normalization.high, when_constant=np.inf)
        elif isinstance(normalization, Quantiles):
            self._set_range(normalization.q01, normalization.q99, when_constant=1.0)

    def normalize(self, values: ArrayLike) -> NDArray[np.float32]:
        """Physical (..., width) -> normalized (..., width)."""
        values = np.asarray(values, np.float64)
        if self._binary:
            return _binary(values)
        result = (values - self._shift) / self._divisor
        if self._clipped:
            result = np.clip(result, -1, 1)
        return result.astype(np.float32)

    def denormalize(self, values: ArrayLike) -> NDArray[np.float32]:
        """Normalized (..., width) -> physical (..., width)."""
        values = np.asarray(values, np.float64)
        if self._binary:
            return _binary(values)
        return (values * self._scale + self._offset).astype(np.float32)

    def _set_range(self, low: tuple[float, ...], high: tuple[float, ...], *, when_constant: float) -> None:
        lower, upper = _float32(low), _float32(high)
        self._offset, self._scale = (lower + upper) / 2, (upper - lower) / 2
        constant = lower == upper
        # Divided by infinity, everything is 0; divided by 1 from 0, it stays what it is.
        self._shift = np.where(constant, 0, self._offset)
        self._divisor = np.where(constant, when_constant, self._scale)


class SlotMap:
    """Places the keys of a section (`state` or `action`) in unified vectors and takes them out again.

    Args:
        section: `state` or `action`, the prefix of the keys.
        keys: Key -> slots, normalization and form of a rotation.
        width: Width of the unified vectors.
    """

    def __init__(self, section: str, keys: Mapping[str, Key], width: int) -> None:
        self._section = section
        self._width = width
        self._keys = {
            f"{section}.{name}": _Place(slice(*key.slots), Normalizer(key.normalization, key.width), _converted(key))
            for name, key in keys.items()
        }
        self._widths = {
            f"{section}.{name}": key.width if _converted(key) == "axis_angle" else rotation_width(key.rotation)
            for name, key in keys.items()
        }

    @property
    def widths(self) -> dict[str, int]:
        """`<section>.<key>` -> number of values that `encode` takes."""
        return self._widths

    def encode(self, values: Mapping[str, ArrayLike], rows: int) -> NDArray[np.float32]:
        """Physical values per key, each (rows, width), to unified rows (rows, 200); other slots are 0.

        Raises:
            ValueError: With the key, where values are no rotation but should be one.
        """
        unified = np.zeros((rows, self._width), np.float32)
        for name, place in self._keys.items():
            given = values[name]
            if place.rotation != "axis_angle":
                try:
                    given = axis_angle(np.asarray(given, np.float64), place.rotation)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}, got {np.asarray(values[name]).tolist()}") from None
            unified[:, place.slots] = place.normalizer.normalize(given)
        return unified

    def key_at(self, slot: int) -> str:
        """The `<section>.<key>` that fills a slot."""
        return next(name for name, place in self._keys.items() if place.slots.start <= slot < place.slots.stop)

    def decode(self, unified: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Unified rows (rows, 200) to physical values per key, each (rows, number of slots)."""
        return {name: place.normalizer.denormalize(unified[:, place.slots]) for name, place in self._keys.items()}


class _Place(NamedTuple):
    slots: slice
    normalizer: Normalizer
    rotation: RotationInput


def _converted(key: Key) -> RotationInput:
    """What is converted to axis-angle: a rotation that the policy gives as it is, is not."""
    return "axis_angle" if key.form == "pose" else key.rotation


def _float32(values: tuple[float, ...]) -> NDArray[np.float64]:
    """Statistics as the training code has them, which decides whether two of them are equal."""
    return np.array(values, np.float32).astype(np.float64)


def _binary(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """1 above 0.5, else 0; what is not a number stays so, for the checks that look for it."""
    return np.where(np.isnan(values), values, values > 0.5).astype(np.float32)
