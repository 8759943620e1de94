"""Numpy arrays as msgpack extension 1: a header that can be checked, then the array's own bytes.

Layout: three ASCII characters for the type (`<f8`, `|u1`, ...), one byte for the number of dimensions, each dimension
as an unsigned 32-bit little-endian integer, then the elements in C order, little-endian. Only numbers and booleans
exist in this layout, so there is nothing in it that could carry an object.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.embodiments.errors import MessageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARRAY_CODE: Final = 1
MAX_DIMENSIONS: Final = 8
MAX_ARRAY_BYTES: Final = 64 * 2**20

_CODES: Final = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
_DTYPES: Final = {code.encode(): np.dtype(code) for code in _CODES}
_CODE_OF: Final = {code: code.encode() for code in _CODES}
_SMALL_BYTES: Final = 4096
_LARGEST: Final = int(np.iinfo(np.intp).max)
_PREFIX: Final = struct.Struct("<3sB")
_HEADERS: Final = tuple(struct.Struct(f"<3sB{count}I") for count in range(MAX_DIMENSIONS + 1))
_DIMENSIONS: Final = tuple(struct.Struct(f"<{count}I") for count in range(MAX_DIMENSIONS + 1))


def pack_array(value: object) -> msgspec.msgpack.Ext:
    """Pack an array for the wire (msgspec's `enc_hook`).

    Args:
        value: A numpy array of booleans, integers or floats of up to 64 bits, any memory order, any byte order.

    Raises:
        MessageError: For anything else: objects, structures, complex numbers, arrays beyond the limits.
    """
    if not isinstance(value, np.ndarray):
        raise MessageError(f"cannot send a {type(value).__name__}: expected plain values and numpy arrays")
    if value.dtype.byteorder == ">":
        value = value.astype(value.dtype.newbyteorder("<"))
    code = _CODE_OF.get(value.dtype.str)
    if code is None:
        raise MessageError(f"cannot send an array of {value.dtype}: expected one of {', '.join(_CODES)}")
    if value.ndim > MAX_DIMENSIONS or value.nbytes > MAX_ARRAY_BYTES:
        raise MessageError(
            f"cannot send an array of shape {value.shape} ({value.nbytes} bytes): "
            f"expected at most {MAX_DIMENSIONS} dimensions and {MAX_ARRAY_BYTES} bytes"
        )
    header = _HEADERS[value.ndim]
    if value.nbytes <= _SMALL_BYTES:
        return msgspec.msgpack.Ext(ARRAY_CODE, header.pack(code, value.ndim, *value.shape) + value.tobytes())
    packed = bytearray(header.size + value.nbytes)
    header.pack_into(packed, 0, code, value.ndim, *value.shape)
    np.ndarray(value.shape, value.dtype, packed, header.size)[...] = value
    return msgspec.msgpack.Ext(ARRAY_CODE, packed)


def unpack_array(code: int, data: memoryview) -> NDArray[Any]:
    """Read an array off the wire (msgspec's `ext_hook`).

    Args:
        code: The extension's code; only `ARRAY_CODE` exists.
        data: Its bytes. The array is a view of them where its alignment permits, and read-only in any case.

    Raises:
        MessageError: Where header and bytes do not agree; nothing is allocated before they do.
    """
    if code != ARRAY_CODE:
        raise MessageError(f"extension {code}: expected {ARRAY_CODE} (an array)")
    if len(data) < _PREFIX.size:
        raise MessageError(f"array of {len(data)} bytes: expected a header of at least {_PREFIX.size}")
    type_code, dimensions = _PREFIX.unpack_from(data)
    dtype = _DTYPES.get(type_code)
    if dtype is None:
        raise MessageError(f"array of type {type_code!r}: expected one of {', '.join(_CODES)}")
    if dimensions > MAX_DIMENSIONS or len(data) < _HEADERS[dimensions].size:
        raise MessageError(f"array of {dimensions} dimensions in {len(data)} bytes: expected at most {MAX_DIMENSIONS}")
    shape: tuple[int, ...] = _DIMENSIONS[dimensions].unpack_from(data, _PREFIX.size)
    start = _HEADERS[dimensions].size
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(data) - start or expected > MAX_ARRAY_BYTES:
        raise MessageError(
            f"array of shape {shape} and type {dtype}: expected {expected} bytes "
            f"(at most {MAX_ARRAY_BYTES}), got {len(data) - start}"
        )
    # Of an array without elements, numpy still wants the other dimensions to be possible.
    if math.prod(filter(None, shape)) * dtype.itemsize > _LARGEST:
        raise MessageError(f"array of shape {shape} and type {dtype}: expected dimensions that memory can hold")
    return _view(shape, dtype, data, start)


def _view(shape: tuple[int, ...], dtype: np.dtype[Any], data: memoryview, start: int) -> NDArray[Any]:
    if dtype == np.bool_:
        # Any byte may arrive, but numpy computes with booleans on the understanding that they are 0 or 1.
        array: NDArray[Any] = np.ndarray(shape, np.uint8, data, start) != 0
        array = np.asarray(array)
    else:
        array = np.ndarray(shape, dtype, data, start)
        if not array.flags.aligned:
            array = array.copy()
    array.setflags(write=False)
    return array
