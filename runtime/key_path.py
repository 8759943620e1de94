"""Key paths in messages about JSON documents: where msgspec writes `[...]` for the key of a dictionary, name it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
"""A field, an index, or the key of a dictionary, which msgspec does not name."""


def with_key_path(error: msgspec.ValidationError, document: Any, schema: type[Any], root: str) -> str:
    """The error's message, with `$` replaced by what the document is called and every dictionary key by its name.

    Args:
        error: What decoding raised.
        document: The same document, decoded without a schema.
        schema: The type it was decoded as.
        root: What to call the document: `bundle` turns `$.robots[...].state[...].slots` into
            `bundle.robots.so101.state.arm_joints.slots`.
    """
    message = str(error)
    path = _path(message)
    if not path:
        return message
    return f"{message.removesuffix(f'`{path}`')}`{_named(path, document, schema).replace('$', root, 1)}`"


def _path(message: str) -> str:
    """Where msgspec says that the error is: `$.robots[...].action_hz`; empty where it does not."""
    return message.rpartition(" - at `")[2].removesuffix("`") if message.endswith("`") and " - at `" in message else ""


def _named(path: str, document: Any, schema: type[Any]) -> str:
    named = "$"
    keys: list[str | int] = []
    for step in _STEP.finditer(path):
        field, index = step.groups()
        if index == "...":
            document, key = _culprit(path, document, schema, keys)
            if key is None:
                return named + path[step.start() :]
            keys.append(key)
            named += f".{key}"
        else:
            keys.append(int(index) if index else field)
            named += step.group()
    return named


def _culprit(path: str, document: Any, schema: type[Any], keys: Sequence[str | int]) -> tuple[Any, str | None]:
    """Which key of the dictionary at `keys` makes the error, and the document with only that key there."""
    place = document
    for key in keys:
        place = place[key]
    for key, value in place.items():
        alone = _replaced(document, keys, {key: value})
        try:
            msgspec.convert(alone, schema)
        except msgspec.ValidationError as error:
            if _path(str(error)) == path:
                return alone, str(key)
    return document, None


def _replaced(document: Any, keys: Sequence[str | int], value: Any) -> Any:
    """The document with another value at a place."""
    if not keys:
        return value
    inner = _replaced(document[keys[0]], keys[1:], value)
    if isinstance(document, list):
        return [inner if i == keys[0] else item for i, item in enumerate(document)]
    return {**document, keys[0]: inner}
