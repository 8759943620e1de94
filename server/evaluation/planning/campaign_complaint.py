"""What is wrong with a campaign's form: the key path, the value, what was expected, and what was probably meant."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import inspect

from unichunk.kinematics.names import instead_of
from unichunk.server.evaluation.planning.campaign import Campaign

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_PATTERNS: Final = {
    "A-Za-z0-9": "1 to 64 letters, digits, blanks, `.`, `_` or `-`, the first one a letter or digit",
    "0-9a-f": "64 hexadecimal digits, or nothing: the hash is computed when the plan is frozen",
}
"""Part of a regular expression -> what it means."""

_LONGEST: Final = 80
_MOST_BITS: Final = 256


def campaign_complaint(error: msgspec.ValidationError, document: Any) -> str:
    """One line about what does not fit.

    Args:
        error: What converting the document raised.
        document: The campaign, as plain values.
    """
    message, _, path = str(error).partition(" - at `$")
    path = path.removesuffix("`")
    steps = [int(index) if index else field for field, index in _STEP.findall(path)]
    schema = _schema_at(steps)
    where = f"campaign{path}"
    if (unknown := _UNKNOWN.fullmatch(message)) is not None:
        known = schema.fields if isinstance(schema, inspect.StructType) else ()
        name = _short(unknown[1])
        return f"{where}: unknown field {name}: {instead_of(unknown[1], [field.encode_name for field in known])}"
    if message.startswith("Object missing"):
        return f"{where}: {message[0].lower()}{message[1:]}"
    value = _value_at(document, steps)
    if (choices := _choices(schema)) and isinstance(value, str):
        return f"{where}: {_short(value)}: {instead_of(value, choices)}"
    return f"{where}: {_in_words(message)}, got {_short(value)}"


def _schema_at(steps: list[str | int]) -> inspect.Type:
    """The type of what is at a path, as far as that leads through the schema."""
    schema: inspect.Type = inspect.type_info(Campaign)
    for step in steps:
        if isinstance(schema, inspect.StructType):
            schema = next((field.type for field in schema.fields if field.encode_name == step), schema)
        elif isinstance(schema, inspect.VarTupleType):
            schema = schema.item_type
    return schema


def _value_at(document: Any, steps: list[str | int]) -> Any:
    for step in steps:
        document = document[step]
    return document


def _choices(schema: inspect.Type) -> list[str]:
    if isinstance(schema, inspect.EnumType):
        return [str(member.value) for member in schema.cls]
    return [str(value) for value in schema.values] if isinstance(schema, inspect.LiteralType) else []


def _in_words(message: str) -> str:
    if " matching regex " in message:
        return f"expected {next(words for part, words in _PATTERNS.items() if part in message)}"
    return message[0].lower() + message[1:].replace("`", "")


def _short(value: Any) -> str:
    """A value, on one line and not too long."""
    if isinstance(value, (dict, list)):
        return f"{'a table' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        # Python refuses to write down very long numbers.
        return f"a number of {value.bit_length()} bits"
    text = ascii(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
