"""Arrays out of bytes that somebody else sent: type and shape are checked before anything is made of them."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.server.wire.errors import WireError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DIMENSIONS: Final = 8

_TYPE: Final = re.compile(r"[<>=|]?(?:b1|[iu][1248]|f[248]|U[1-9][0-9]{0,5})")
"""Numbers, booleans and texts of fixed length: nothing in them can carry an object, and all of them are plain bytes."""

_LARGEST: Final = int(np.iinfo(np.intp).max)
_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = (0xD800, 0xDFFF)


@lru_cache(maxsize=256)
def dtype_of(text: str) -> np.dtype[Any]:
    """The type that a message names.

    Raises:
        WireError: Objects, structures, complex numbers, dates, or no type at all.
    """
    if _TYPE.fullmatch(text) is None:
        raise WireError(f"array of type {text[:32]!r}: expected booleans, integers, floats or text, such as '<f4'")
    return np.dtype(text)


def array_of(data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], *, fortran: bool = False) -> NDArray[Any]:
    """The array that these bytes are: a view of them where their alignment permits, read-only in any case.

    Args:
        data: All elements and nothing else.
        dtype: One that `dtype_of` lets through.
        shape: As the message says it.
        fortran: First index fastest.

    Raises:
        WireError: Where shape and bytes do not agree.
    """
    if len(shape) > MAX_DIMENSIONS or any(type(size) is not int or size < 0 for size in shape):
        raise WireError(f"array of shape {str(shape)[:80]}: expected up to {MAX_DIMENSIONS} sizes, none negative")
    expected = math.prod(shape) * dtype.itemsize
    # Of an array without elements, numpy still wants the other sizes to be possible.
    if expected != len(data) or (not expected and math.prod(filter(None, shape)) * dtype.itemsize > _LARGEST):
        raise WireError(
            f"array of shape {str(shape)[:80]} and type {dtype}: expected {expected} bytes, got {len(data)}"
        )
    order: Any = "F" if fortran else "C"
    if dtype.kind == "b":
        # Any byte may arrive, but numpy computes with booleans on the understanding that they are 0 or 1.
        array: NDArray[Any] = np.asarray(np.ndarray(shape, np.uint8, data, order=order) != 0)
    else:
        array = np.ndarray(shape, dtype, data, order=order)
        if dtype.kind == "U":
            _check_text(data, dtype)
        if not array.flags.aligned:
            array = array.copy(order)
    array.setflags(write=False)
    return array


def shape_of(sizes: object) -> tuple[int, ...]:
    """A shape as a message has it: a list.

    Raises:
        WireError: Anything else.
    """
    if not isinstance(sizes, list):
        raise WireError(f"array whose shape is {type(sizes).__name__}: expected a list of sizes")
    return tuple(sizes)


def _check_text(data: memoryview, dtype: np.dtype[Any]) -> None:
    points = np.frombuffer(data, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
    low, high = _SURROGATES
    if (points > _LAST_CODE_POINT).any() or ((points >= low) & (points <= high)).any():
        raise WireError(f"array of type {dtype}: expected characters, got code points that are none")
