"""The instruction, wherever and in whatever wrapping a client sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.arrays import in_words
from unichunk.server.wire.key_path import find

if TYPE_CHECKING:
    from unichunk.server.wire.mapping import Mapping as ClientMapping

_DEEPEST = 4


def instruction_in(observation: Any, mapping: ClientMapping) -> str | None:
    """The instruction of an observation; None where it has none.

    GR00T's clients have names for it that belong to their data sets, so where none of the mapping's is there, a single
    entry of `language` or `annotation` is taken.

    Raises:
        ObservationError: It is no text, or it is not clear which text it is.
    """
    for at in mapping.prompt:
        value = find(observation, at)
        if value is not None:
            return _text("/".join(at), value)
    if mapping.protocol != "groot" or not isinstance(observation, Mapping):
        return None
    names = [name for name in observation if str(name).startswith(("language.", "annotation."))]
    if not names:
        return None
    if len(names) > 1:
        raise ObservationError(f"instruction: expected one, got {[name[:60] for name in sorted(names)][:8]}")
    return _text(repr(names[0][:60]), observation[names[0]])


def _text(label: str, value: Any) -> str:
    text = value
    for _ in range(_DEEPEST):
        if isinstance(text, (list, tuple)) and len(text) == 1:
            text = text[0]
        elif isinstance(text, np.ndarray) and text.size == 1:
            text = text.item()
    if not isinstance(text, str):
        raise ObservationError(f"{label}: expected a text, got {in_words(value)}")
    return str(text)
