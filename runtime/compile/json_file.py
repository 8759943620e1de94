"""JSON of known shape, or one line that says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from unichunk.runtime.errors import CheckpointError

T = TypeVar("T")


def decode_json(content: bytes, kind: type[T], where: object) -> T:
    """Decodes JSON of a shape.

    Args:
        content: The file's content; NaN and Infinity are numbers, as Python writes them.
        kind: What it must be.
        where: The file's name, for messages.

    Raises:
        CheckpointError: Not JSON, or not of this shape.
    """
    return convert_json(parse_json(content, where), kind, where)


def parse_json(content: bytes, where: object) -> Any:
    """Parses JSON of any shape, with NaN and Infinity, which Python's json module writes.

    Args:
        content: The file's content.
        where: The file's name, for messages.

    Raises:
        CheckpointError: Not JSON.
    """
    try:
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            return _with_constants(content, error)
    except RecursionError as error:
        raise CheckpointError(f"{where} is not JSON that can be read: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{where} is not JSON: {error}") from error


def convert_json(value: object, kind: type[T], where: object) -> T:
    """Makes what was parsed into what it must be.

    Args:
        value: Numbers, texts, lists and dictionaries.
        kind: What it must be.
        where: Where it stands, for messages.

    Raises:
        CheckpointError: Not of this shape.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{where}: {error}") from error


def _with_constants(content: bytes, error: msgspec.DecodeError) -> Any:
    """Python's own reading, which knows its constants; where that does not go well either, the first one's error."""
    try:
        value = json.loads(content.decode())
        json.dumps(value, ensure_ascii=False).encode()  # halves of characters, which Python takes, cannot be written
    except ValueError:
        raise error from None
    return value
