"""What the clients of other projects put on the wire, built with the packages that they use."""

from __future__ import annotations

import functools
import io
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np


def openpi_pack(value: Any) -> bytes:
    """As openpi-client's own packer does."""
    return bytes(msgpack.packb(value, default=_openpi_encode))


def openpi_unpack(data: bytes) -> Any:
    return msgpack.unpackb(data, object_hook=_openpi_decode)


def _openpi_encode(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in ("V", "O", "c"):
        raise ValueError(f"Unsupported dtype: {value.dtype}")
    if isinstance(value, np.ndarray):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    return value


def _openpi_decode(value: Any) -> Any:
    if b"__ndarray__" in value:
        return np.ndarray(buffer=value[b"data"], dtype=np.dtype(value[b"dtype"]), shape=value[b"shape"])
    if b"__npgeneric__" in value:
        return np.dtype(value[b"dtype"]).type(value[b"data"])
    return value


def groot_pack(value: Any, dialect: str) -> bytes:
    """As the client of GR00T N1.5 (A), N1.6 (B) or N1.7 (C) does."""
    encode = functools.partial(msgpack_numpy.encode) if dialect == "C" else _npy_encode
    return bytes(msgpack.packb(value, default=encode))


def groot_unpack(data: bytes, dialect: str) -> Any:
    hook = msgpack_numpy.decode if dialect == "C" else _npy_decode
    return msgpack.unpackb(data, object_hook=hook)


def _npy_encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": file.getvalue()}
    return value


def _npy_decode(value: Any) -> Any:
    if "__ndarray_class__" in value:
        return np.load(io.BytesIO(value["as_npy"]), allow_pickle=False)
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same, arrays by type, shape and content, numbers by type."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and (a.dtype.newbyteorder("="), a.shape) == (b.dtype.newbyteorder("="), b.shape)
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(same(*pair) for pair in zip(a, b, strict=True))
    both_nan = isinstance(a, (float, np.floating)) and isinstance(b, (float, np.floating)) and a != a and b != b
    return type(a) is type(b) and (a == b or bool(both_nan))
