"""`get_action`: a GR00T client's observation with one name for each entry, and its chunk of actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import ObservationError
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.groot import GrootDialect, pack, read_envelope, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DEFAULT_DIALECT: Final = GrootDialect.C
"""Of clients whose requests have not shown theirs."""

_MODALITIES: Final = ("video", "state", "language", "annotation")
_BATCHED: Final = 3
_DIMENSIONS: Final = {"video": 3, "state": 1}


@dataclass(frozen=True)
class ActionForm:
    """How a client wants its actions.

    Attributes:
        dialect: Of its messages.
        flat: Keys carry `action.` in front.
        batched: Arrays are (B, T, D); else (T, D), which clients of N1.5 get that send no batch themselves.
    """

    dialect: GrootDialect
    flat: bool
    batched: bool


@dataclass(frozen=True)
class GrootRequest:
    """A decoded `get_action`.

    Attributes:
        observation: `video.<key>` (H, W, 3), `state.<key>` (D,), `language.<key>`, and whatever else the client sends,
            each under one name; without the axes of batch and time.
        options: What came beside it.
        form: How the client wants its actions.
    """

    observation: dict[str, Any]
    options: Mapping[str, Any]
    form: ActionForm


def read_action_request(payload: bytes, *, remembered: GrootDialect = DEFAULT_DIALECT) -> GrootRequest:
    """Decode a `get_action`.

    Args:
        payload: The request.
        remembered: The dialect where the request has no arrays to show it.

    Raises:
        WireError: What is wrong with the bytes.
        ObservationError: More than one observation at a time.
    """
    dialect = read_envelope(payload).dialect or remembered
    request = unpack(payload)
    data = request.get("data") if isinstance(request, dict) else None
    if not isinstance(data, dict):
        raise WireError("get_action: expected an observation as its data")
    wrapped = isinstance(data.get("observation"), dict)
    given = data["observation"] if wrapped else data
    options = data.get("options") if wrapped else None
    nested = any(isinstance(given.get(modality), dict) for modality in _MODALITIES)
    observation = dict(_flat(given))
    states = [value for key, value in observation.items() if key.startswith("state.")]
    batched = dialect is not GrootDialect.A or all(np.ndim(value) >= 3 for value in states)
    return GrootRequest(
        {key: _single(key, value) for key, value in observation.items()},
        options if isinstance(options, dict) else {},
        ActionForm(dialect, flat=not nested, batched=batched),
    )


def pack_actions(
    actions: Mapping[str, NDArray[np.float32]], form: ActionForm, *, extra: Mapping[str, Any], info: Mapping[str, Any]
) -> bytes:
    """The reply to `get_action`.

    Args:
        actions: Key without `action.` -> physical values, shape (T, D), or with the axis of a batch of one.
        form: Of the reply.
        extra: More entries beside them, as they are.
        info: What B and C have beside the actions.
    """
    reply: dict[str, Any] = {}
    for name, values in actions.items():
        rows = np.ascontiguousarray(values, np.float32)
        if rows.ndim == _BATCHED and len(rows) == 1:
            rows = rows[0]
        reply[f"action.{name}" if form.flat else name] = rows[None] if form.batched else rows
    reply.update(extra)
    return pack(reply if form.dialect is GrootDialect.A else [reply, dict(info)], form.dialect)


def _flat(given: Mapping[str, Any]) -> Any:
    for key, value in given.items():
        if key in _MODALITIES and isinstance(value, dict):
            yield from ((f"{key}.{inner}", entry) for inner, entry in value.items())
        else:
            yield key, value


def _single(key: str, value: Any) -> Any:
    """A value without the axes of batch and time."""
    dimensions = _DIMENSIONS.get(key.partition(".")[0])
    if dimensions is None or not isinstance(value, np.ndarray):
        return value
    extra = value.ndim - dimensions
    if extra > 0 and any(size != 1 for size in value.shape[:extra]):
        raise ObservationError(f"{key}: expected one observation, B = 1 and T = 1, got shape {value.shape}")
    return value.reshape(value.shape[extra:]) if extra > 0 else value
