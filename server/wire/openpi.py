"""openpi's messages: msgpack, with numpy arrays as maps whose keys are binary.

| value                  | stands for it                                                                             |
|------------------------|-------------------------------------------------------------------------------------------|
| array                  | `b"__ndarray__": true, b"data": bytes in C order, b"dtype": "<f4", b"shape": [2]`         |
| number of a numpy type | `b"__npgeneric__": true, b"data": number, b"dtype": "<f4"`; a `float64` is a plain number |

Arrays of objects, structures and complex numbers are refused in both directions.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from unichunk.server.wire.errors import WireError
from unichunk.server.wire.plain import plain
from unichunk.server.wire.quick_arrays import openpi_array
from unichunk.server.wire.raw_arrays import array_of, dtype_of, shape_of
from unichunk.server.wire.reader import read

_ARRAY_KEYS: Final = {b"__ndarray__", b"data", b"dtype", b"shape"}
_SCALAR_KEYS: Final = {b"__npgeneric__", b"data", b"dtype"}
_NATIVE: Final = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float), "U": (str,)}
"""Kind of a numpy type -> what a number of it arrives as."""


def pack(value: Any) -> bytes:
    """Pack plain values, numpy arrays and numpy numbers, as openpi's own packer does, byte for byte.

    Raises:
        WireError: Something that the protocol cannot carry.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise WireError(f"cannot send this to an openpi client: {' '.join(str(error).split())}") from None


def unpack(data: bytes) -> Any:
    """Read a message; its arrays are read-only, and views of `data` where alignment permits.

    Raises:
        WireError: One line: what is wrong with the bytes.
    """
    return read(data, "openpi's msgpack", _interpret, openpi_array)


class _Peek(msgspec.Struct):
    endpoint: Annotated[str, Meta(max_length=64)] | None = None


_PEEK: Final = msgspec.msgpack.Decoder(_Peek)


def endpoint_of(data: bytes) -> str | None:
    """What a RoboArena client wants, `infer` or `reset`, without reading the arrays of its message.

    Returns:
        The `endpoint` of the message; None where it has none, which makes it openpi's, or where it is no message.
    """
    try:
        return _PEEK.decode(data).endpoint
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _interpret(found: dict[Any, Any]) -> Any:
    if b"__ndarray__" in found:
        if found.keys() != _ARRAY_KEYS:
            raise WireError(f"array with the keys {sorted(map(str, found))[:8]}: expected dtype, shape and data")
        data = found[b"data"]
        if not isinstance(data, memoryview):
            raise WireError(f"array whose data is {type(data).__name__}: expected bytes")
        return array_of(data, _dtype(found), shape_of(found[b"shape"]))
    if b"__npgeneric__" in found:
        return _scalar(found)
    return found


def _scalar(found: dict[Any, Any]) -> Any:
    if found.keys() != _SCALAR_KEYS:
        raise WireError(f"number with the keys {sorted(map(str, found))[:8]}: expected dtype and data")
    dtype, data = _dtype(found), found[b"data"]
    try:
        if type(data) not in _NATIVE[dtype.kind]:
            raise TypeError
        with np.errstate(over="ignore"):
            return dtype.type(data)
    except (TypeError, OverflowError):
        raise WireError(f"number of type {dtype} that is {str(data)[:40]!r}") from None


def _dtype(found: dict[Any, Any]) -> np.dtype[Any]:
    text = found[b"dtype"]
    if not isinstance(text, str):
        raise WireError(f"array whose type is {type(text).__name__}: expected text, such as '<f4'")
    return dtype_of(text)


def _stand_in(value: Any) -> Any:
    """What stands for a value that msgpack does not know (msgspec's `enc_hook`)."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufU":
            raise TypeError(f"an array of {value.dtype}: expected booleans, numbers or text")
        data = value.data if value.flags.c_contiguous else value.tobytes()
        return {b"__ndarray__": True, b"data": data, b"dtype": value.dtype.str, b"shape": value.shape}
    # numpy's float64, str_ and bytes_ are Python's own types too, and travel as such.
    if isinstance(value, (str, bytes, float, int)):
        return plain(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"a {type(value).__name__}: expected plain values and numpy arrays")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_stand_in)
