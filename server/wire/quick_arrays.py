"""Arrays as real clients write them, keys in one order, read in one go; whatever else looks like one is left alone.

Each function is a `shortcut` of `wire.reader`: it gets the message and the last byte of a map's header, and returns the
array and where its map ends, or None, and then the reader reads the map key by key.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any, Final

from unichunk.server.wire.raw_arrays import array_of, dtype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TEXT: Final = rb"([\xa2-\xa8])([<>=|]?[a-zA-Z][0-9]{1,6})"
"""A short text with its length, which is still to be compared."""

_OPENPI_HEAD: Final = b"\x84\xc4\x0b__ndarray__\xc3\xc4\x04data"
_OPENPI_TAIL: Final = re.compile(rb"\xc4\x05dtype" + _TEXT + rb"\xc4\x05shape([\x91-\x98])")
_GROOT_HEAD: Final = re.compile(
    rb"\x85\xc4\x02nd\xc3\xc4\x04type" + _TEXT + rb"\xc4\x04kind\xc4\x00\xc4\x05shape([\x91-\x98])"
)
_GROOT_DATA: Final = b"\xc4\x04data"

_BINARY: Final = {0xC4: struct.Struct(">B"), 0xC5: struct.Struct(">H"), 0xC6: struct.Struct(">I")}
_WIDE: Final = {0xCC: 1, 0xCD: 2}
"""Codes of sizes that do not fit into their code -> bytes that follow."""


def openpi_array(data: bytes, at: int) -> tuple[NDArray[Any], int] | None:
    """An array of openpi's protocol."""
    if not data.startswith(_OPENPI_HEAD, at) or (bounds := _binary(data, at + len(_OPENPI_HEAD))) is None:
        return None
    tail = _OPENPI_TAIL.match(data, bounds[1])
    if tail is None or (sizes := _sizes(data, tail)) is None:
        return None
    return array_of(memoryview(data)[slice(*bounds)], dtype_of(tail[2].decode()), sizes[0]), sizes[1]


def msgpack_numpy_array(data: bytes, at: int) -> tuple[NDArray[Any], int] | None:
    """An array as msgpack-numpy writes it."""
    head = _GROOT_HEAD.match(data, at)
    if head is None or (sizes := _sizes(data, head)) is None or not data.startswith(_GROOT_DATA, sizes[1]):
        return None
    bounds = _binary(data, sizes[1] + len(_GROOT_DATA))
    if bounds is None or bounds[1] > len(data):
        return None
    return array_of(memoryview(data)[slice(*bounds)], dtype_of(head[2].decode()), sizes[0]), bounds[1]


def _binary(data: bytes, at: int) -> tuple[int, int] | None:
    """Where binary data begins and ends."""
    size = _BINARY.get(data[at])
    if size is None:
        return None
    start = at + 1 + size.size
    return start, start + size.unpack_from(data, at + 1)[0]


def _sizes(data: bytes, found: re.Match[bytes]) -> tuple[tuple[int, ...], int] | None:
    """The sizes of a shape behind what was found, and where they end."""
    length, text, count = found.groups()
    if length[0] & 31 != len(text):
        return None
    sizes = []
    at = found.end()
    for _ in range(count[0] & 15):
        code = data[at]
        if code <= 0x7F:
            at += 1
            sizes.append(code)
        elif (wide := _WIDE.get(code)) is not None:
            at += 1 + wide
            sizes.append(int.from_bytes(data[at - wide : at], "big"))
        else:
            return None
    return tuple(sizes), at
