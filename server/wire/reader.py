"""Reads msgpack that anybody may have sent.

Unlike a general decoder, it copies no binary data (arrays become views of the message), refuses what a reader could
take in two ways (keys that occur twice, bytes after the end), and makes no more of a message than its bytes are worth:
the number of values, their depth and the length of texts are limited, since one byte can stand for an empty list that
takes sixty.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from unichunk.server.wire.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_VALUES: Final = 2**16
"""Values in one message, keys included; an array counts as a handful of them."""

MAX_DEPTH: Final = 16
MAX_TEXT: Final = 2**16
"""Bytes of one text."""

_SIZES: Final = {
    0xC4: struct.Struct(">B"),
    0xC5: struct.Struct(">H"),
    0xC6: struct.Struct(">I"),
    0xD9: struct.Struct(">B"),
    0xDA: struct.Struct(">H"),
    0xDB: struct.Struct(">I"),
    0xDC: struct.Struct(">H"),
    0xDD: struct.Struct(">I"),
    0xDE: struct.Struct(">H"),
    0xDF: struct.Struct(">I"),
}
"""Codes of binary data, texts, lists and maps -> how their size is written."""

_NUMBERS: Final = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}


def read(
    data: bytes,
    name: str,
    interpret: Callable[[dict[Any, Any]], Any],
    shortcut: Callable[[bytes, int], tuple[Any, int] | None] | None = None,
) -> Any:
    """Read one message.

    Args:
        data: The message, nothing before it and nothing after it.
        name: What to call it in errors, say "an openpi message".
        interpret: Gets each map once it is complete, inner ones first, and returns what stands for it: the map itself,
            or say an array. Binary values in it are views of `data`; in maps that stay, they become bytes.
        shortcut: May read a map whose header ends with this byte of `data` in its own way, faster: its value and
            where it ends; None leaves it to the reader.

    Returns:
        None, truth values, numbers, text, bytes, lists, dictionaries, and what `interpret` makes.

    Raises:
        WireError: One line; nothing was allocated for what is not there.
    """
    reader = _Reader(data, interpret, shortcut)
    try:
        value = reader.value(0)
    except WireError as error:
        raise WireError(f"malformed message, expected {name}: {error}") from None
    except (struct.error, IndexError):
        raise WireError(f"malformed message, expected {name}: it ends after {len(data)} bytes, too early") from None
    except UnicodeDecodeError as error:
        raise WireError(f"malformed message, expected {name}: text that is not UTF-8 ({error.reason})") from None
    if reader.at != len(data):
        raise WireError(f"malformed message, expected {name}: {len(data) - reader.at} bytes follow its end")
    return bytes(value) if isinstance(value, memoryview) else value


class _Reader:
    __slots__ = ("_data", "_interpret", "_left", "_shortcut", "_view", "at")

    def __init__(
        self,
        data: bytes,
        interpret: Callable[[dict[Any, Any]], Any],
        shortcut: Callable[[bytes, int], tuple[Any, int] | None] | None,
    ) -> None:
        self._data = data
        self._view = memoryview(data)
        self._interpret = interpret
        self._shortcut = shortcut
        self._left = MAX_VALUES
        self.at = 0

    def value(self, depth: int) -> Any:
        code = self._data[self.at]
        self.at += 1
        if code <= 0x7F:
            return code
        if code >= 0xE0:
            return code - 256
        if code <= 0x8F:
            return self._map(code & 15, depth)
        if code <= 0x9F:
            return self._list(code & 15, depth)
        if code <= 0xBF:
            return self._text(code & 31)
        return self._other(code, depth)

    def _other(self, code: int, depth: int) -> Any:
        number = _NUMBERS.get(code)
        if number is not None:
            (value,) = number.unpack_from(self._data, self.at)
            self.at += number.size
            return value
        size = _SIZES.get(code)
        if size is None:
            if code in _CONSTANTS:
                return _CONSTANTS[code]
            raise WireError(f"extension or unused code 0x{code:02x} at byte {self.at - 1}")
        (count,) = size.unpack_from(self._data, self.at)
        self.at += size.size
        if code <= 0xC6:
            return self._binary(count)
        if code <= 0xDB:
            return self._text(count)
        return self._list(count, depth) if code <= 0xDD else self._map(count, depth)

    def _binary(self, size: int) -> memoryview:
        start, self.at = self.at, self.at + size
        if self.at > len(self._data):
            raise IndexError
        return self._view[start : self.at]

    def _text(self, size: int) -> str:
        if size > MAX_TEXT:
            raise WireError(f"text of {size} bytes: expected at most {MAX_TEXT}")
        start, self.at = self.at, self.at + size
        if self.at > len(self._data):
            raise IndexError
        return self._data[start : self.at].decode()

    def _list(self, count: int, depth: int) -> list[Any]:
        self._enter(count, depth)
        values = [self.value(depth + 1) for _ in range(count)]
        return [bytes(value) if isinstance(value, memoryview) else value for value in values]

    def _map(self, count: int, depth: int) -> Any:
        self._enter(2 * count, depth)
        if self._shortcut is not None and (quick := self._shortcut(self._data, self.at - 1)) is not None:
            value, self.at = quick
            return value
        found: dict[Any, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if isinstance(key, memoryview):
                key = key.tobytes()
            elif not isinstance(key, str):
                raise WireError(f"map with a key that is {type(key).__name__}: expected text or bytes")
            if key in found:
                raise WireError(f"map with the key {str(key)[:80]!r} twice")
            found[key] = self.value(depth + 1)
        value = self._interpret(found)
        if value is found:
            _own_binaries(found)
        return value

    def _enter(self, count: int, depth: int) -> None:
        self._left -= count
        if self._left < 0:
            raise WireError(f"more than {MAX_VALUES} values outside of arrays")
        if depth >= MAX_DEPTH:
            raise WireError(f"maps and lists in each other, more than {MAX_DEPTH} deep")
        if count > len(self._data) - self.at:
            raise IndexError


def _own_binaries(found: Mapping[Any, Any]) -> None:
    views = [key for key, value in found.items() if isinstance(value, memoryview)]
    for key in views:
        found[key] = bytes(found[key])  # type: ignore[index]
