"""Values in nested maps, by the keys that lead to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.arrays import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence


def take(observation: Any, at: Sequence[str]) -> Any:
    """The value at these keys.

    Raises:
        ObservationError: There is none; with the keys that are there.
    """
    value = observation
    for depth, key in enumerate(at):
        if not isinstance(value, Mapping):
            label = "/".join(at[:depth]) or "observation"
            raise ObservationError(f"{label}: expected {key} and others by name, got {in_words(value)}")
        if key not in value:
            there = sorted(str(known)[:60] for known in value)[:20]
            raise ObservationError(f"{'/'.join(at)}: missing from the observation, which has {there}")
        value = value[key]
    return value


def find(observation: Any, at: Sequence[str]) -> Any:
    """The value at these keys; None where there is none."""
    value = observation
    for key in at:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def place(observation: dict[str, Any], at: Sequence[str], value: Any) -> None:
    """Put a value at these keys."""
    for key in at[:-1]:
        observation = observation.setdefault(key, {})
    observation[at[-1]] = value
