"""Numbers that come from outside, checked before anything is computed from them."""

from __future__ import annotations

import reprlib
import textwrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import ObservationError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_KINDS: Final = "biuf"
"""Numpy's letters for booleans, whole numbers of both kinds, and floats."""

_LONGEST: Final = 120
"""Characters of a value in an error message."""


def numbers(label: str, values: Any, dtype: DTypeLike, expected: str = "an array of numbers") -> NDArray[Any]:
    """Real numbers as an array of `dtype`; what is too large for it becomes infinite, without a warning.

    Args:
        label: What the values are, for the error message.
        values: An array, or what numpy makes one of.
        dtype: A type of floats.
        expected: What they should be, for the error message.

    Raises:
        ObservationError: Where they are anything but real numbers, such as texts that spell numbers.
    """
    try:
        given = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        given = None
    if given is None or given.dtype.kind not in _KINDS:
        raise ObservationError(f"{label}: expected {expected}, got {in_words(values)}")
    with np.errstate(over="ignore", invalid="ignore"):
        return given.astype(dtype, copy=False)


def require_finite(label: str, values: NDArray[np.float32]) -> None:
    """Refuse what is not finite.

    Raises:
        ObservationError: With the first such value and its place.
    """
    finite = np.isfinite(values)
    if not finite.all():
        place = np.argwhere(~finite)[0].tolist()
        raise ObservationError(f"{label}: expected finite float32 numbers, got {values[tuple(place)]} at {place}")


def in_words(value: Any) -> str:
    """Anything at all, for one line of an error message."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.dtype} of shape {value.shape}"
    return textwrap.shorten(reprlib.repr(value), _LONGEST, placeholder=" ...")


def without_batch(values: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Values without a leading axis of one that they have beyond their dimensions."""
    return values[0] if values.ndim == dimensions + 1 and len(values) == 1 else values
