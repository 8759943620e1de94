"""JSON of known shape, or one line that says what is wrong with it."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from unichunk.runtime.errors import CheckpointError

T = TypeVar("T")


def decode_json(content: bytes | msgspec.Raw, kind: type[T], where: object) -> T:
    """Decodes JSON of a shape.

    Args:
        content: The file's content.
        kind: What it must be.
        where: The file's name, for messages.

    Raises:
        CheckpointError: Not JSON, or not of this shape.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except RecursionError as error:
        raise CheckpointError(f"{where} is not JSON that can be read: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{where} is not JSON: {error}") from error
