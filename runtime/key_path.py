"""Key paths in messages about JSON documents: where msgspec writes `[...]` for the key of a dictionary, name it."""

from __future__ import annotations

from typing import Any

import msgspec


def with_key_path(error: msgspec.ValidationError, document: Any, schema: type[Any], root: str) -> str:
    """The error's message, with `$` replaced by what the document is called and every dictionary key by its name.

    Args:
        error: What decoding raised.
        document: The same document, decoded without a schema.
        schema: The type it was decoded as.
        root: What to call the document: `bundle` turns `$.state[...].slots` into `bundle.state.arm_joints.slots`.
    """
    message = str(error)
    for section, values in document.items() if isinstance(document, dict) else ():
        if f"`$.{section}[...]" in message and isinstance(values, dict):
            message = message.replace(f"{section}[...]", f"{section}.{_culprit(message, document, section, schema)}")
    return message.replace("`$.", f"`{root}.").replace("`$`", f"`{root}`")


def _culprit(message: str, document: dict[str, Any], section: str, schema: type[Any]) -> str:
    for key, value in document[section].items():
        try:
            msgspec.convert({**document, section: {key: value}}, schema)
        except msgspec.ValidationError as error:
            if str(error).partition(" - at ")[2] == message.partition(" - at ")[2]:
                return str(key)
    return "[...]"
