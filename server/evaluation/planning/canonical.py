"""The one way to write a document, so that its hash means something."""

from __future__ import annotations

from typing import Any

import msgspec


def canonical_json(value: Any) -> bytes:
    """JSON in UTF-8 with sorted keys and without blanks.

    Args:
        value: Structs, maps, sequences, text, numbers; no NaN.

    Returns:
        The same bytes for the same value, whoever writes it.
    """
    return msgspec.json.encode(value, order="sorted")
