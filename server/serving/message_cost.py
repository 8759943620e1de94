"""How much work a message makes for whoever skips over it, found out with little work.

The front reads a few fields of each message and skips the rest: of pictures that is nothing, they are a handful of long
values. But a message of 64 MiB may also be 64 million values of one byte, and skipping over those would hold up the
event loop, and with it all other clients, for half a second. So before a long message is looked into, its values are
counted, as far as a limit.
"""

from __future__ import annotations

import struct
from typing import Final

SHORT: Final = 256 * 1024
"""Messages up to this many bytes are not counted: skipping over that many values takes some 2 ms at worst."""

MOST_VALUES: Final = 4096
"""Values in a longer message, keys included: many times what an observation has; counting them takes 2 ms at worst."""

_FIXED: Final = [
    *[1] * 0x80,
    *[1] * 0x10,
    *[1] * 0x10,
    *range(1, 0x21),
    *(1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 5, 9, 2, 3, 5, 9),
    *(2, 3, 5, 9, 3, 4, 6, 10, 18, 0, 0, 0, 0, 0, 0, 0),
    *[1] * 0x20,
]
"""Bytes of a value by its first one, where that says all; else 0."""

_INNER: Final = [*[0] * 0x80, *range(0, 0x20, 2), *range(0x10), *[0] * 0x60]
"""Values that follow in a short map or list, by its first byte."""

_SIZES: Final = {
    **dict.fromkeys((0xC4, 0xD9), (struct.Struct(">B"), 2, 0)),
    **dict.fromkeys((0xC5, 0xDA), (struct.Struct(">H"), 3, 0)),
    **dict.fromkeys((0xC6, 0xDB), (struct.Struct(">I"), 5, 0)),
    0xC7: (struct.Struct(">B"), 3, 0),
    0xC8: (struct.Struct(">H"), 4, 0),
    0xC9: (struct.Struct(">I"), 6, 0),
    0xDC: (struct.Struct(">H"), 3, 1),
    0xDD: (struct.Struct(">I"), 5, 1),
    0xDE: (struct.Struct(">H"), 3, 2),
    0xDF: (struct.Struct(">I"), 5, 2),
}
"""First byte of a value that says its size -> how it is written, bytes before its content, values of an entry; 0 for
bytes."""


def is_dear(message: bytes | memoryview, *, short: int = SHORT, most: int = MOST_VALUES) -> bool:
    """Whether a msgpack message is of so many values that it must not be skipped over in an event loop.

    Args:
        message: Its bytes, whatever they are; what is malformed is not dear, whoever reads it will say so.
        short: Bytes up to which it is not looked at.
        most: Values that it may have.
    """
    if len(message) <= short:
        return False
    left, at = 1, 0
    try:
        for _ in range(most):
            code = message[at]
            fixed = _FIXED[code]
            if fixed:
                at += fixed
                left += _INNER[code] - 1
            else:
                size, before, values = _SIZES[code]
                (said,) = size.unpack_from(message, at + 1)
                at += before
                left += values * said - 1
                if not values:
                    at += said
            if not left:
                return False
    except (struct.error, IndexError, KeyError):
        return False
    return True
