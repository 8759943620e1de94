"""Fits the parts of a mapping to a robot's keys, through the policy's own names or the slots of the unified space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.arrays import in_words, numbers
from unichunk.runtime.policy.rotation import rotation_width
from unichunk.server.wire.errors import MappingError
from unichunk.server.wire.key_path import take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingType

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Key
    from unichunk.server.wire.mapping import Mapping, Part, Vector


@dataclass(frozen=True)
class _Piece:
    """Some columns of a client's vector, as the policy wants them."""

    vector: Vector
    first: int
    end: int
    scale: float
    offset: float

    @property
    def whole(self) -> bool:
        """Whether it is the vector as it is."""
        return (self.first, self.end, self.scale, self.offset) == (0, self.vector.width, 1, 0)

    def read(self, given: Any) -> NDArray[np.float64]:
        label = "/".join(self.vector.at)
        values = numbers(label, take(given, self.vector.at), np.float64, f"{self.vector.width} numbers")
        if values.size != self.vector.width or values.shape[-1:] not in ((), (self.vector.width,)):
            raise ObservationError(f"{label}: expected shape ({self.vector.width},), got {in_words(values)}")
        # What is not finite stays so, and the policy says it.
        with np.errstate(over="ignore", invalid="ignore"):
            result: NDArray[np.float64] = values.reshape(-1)[self.first : self.end] * self.scale + self.offset
        return result


@dataclass(frozen=True)
class StateSource:
    """Where the values of one of the policy's state keys come from."""

    pieces: tuple[_Piece, ...]

    def read(self, given: Any) -> Any:
        """The values; where they are a client's vector as it is, that vector, unchecked."""
        if len(self.pieces) == 1 and self.pieces[0].whole:
            return take(given, self.pieces[0].vector.at)
        return np.concatenate([piece.read(given) for piece in self.pieces])

    def write(self, given: Any, values: NDArray[np.float32]) -> None:
        """Put values into a client's observation from which `read` gets them."""
        start = 0
        for piece in self.pieces:
            stop = start + piece.end - piece.first
            take(given, piece.vector.at)[piece.first : piece.end] = (values[start:stop] - piece.offset) / piece.scale
            start = stop

    def uses(self, vector: Vector) -> bool:
        """Whether something of this vector is among them."""
        return any(piece.vector is vector for piece in self.pieces)


@dataclass(frozen=True)
class _Columns:
    """Some columns of one of the policy's action keys, as the client wants them."""

    key: str
    first: int
    end: int
    scale: float
    offset: float

    def of(self, chunk: MappingType[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        values = chunk[self.key][:, self.first : self.end]
        if (self.scale, self.offset) == (1, 0):
            return values
        return values * np.float32(self.scale) + np.float32(self.offset)


@dataclass(frozen=True)
class ActionColumns:
    """Of what the columns of `actions` consist.

    Attributes:
        parts: Names of the parts, in their order.
        names: Of each column, the policy's key and the index within it.
    """

    parts: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[tuple[_Columns, ...], ...]

    def together(self, chunk: MappingType[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """All columns, shape (T, D), float32."""
        return np.concatenate([piece.of(chunk) for part in self.columns for piece in part], axis=1)

    def apart(self, chunk: MappingType[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """The columns of each part, (T, width), float32."""
        return {
            name: np.concatenate([piece.of(chunk) for piece in part], axis=1)
            for name, part in zip(self.parts, self.columns, strict=True)
        }


def state_sources(mapping: Mapping, keys: MappingType[str, Key]) -> dict[str, StateSource]:
    """Find a source for each state key.

    Raises:
        MappingError: One of them has none.
    """
    return {name: StateSource(tuple(_merged(_pieces(mapping, name, key)))) for name, key in keys.items()}


def _pieces(mapping: Mapping, name: str, key: Key) -> Iterator[_Piece]:
    width = key.width if key.rotation == "axis_angle" else rotation_width(key.rotation)
    whole = [
        (vector, part)
        for vector in mapping.state
        for part in vector.parts
        if part.key == name or (part.slots == key.slots and part.rotation == key.rotation)
    ]
    if whole:
        vector, part = whole[0]
        first, end = part.columns or (0, vector.width)
        if end - first != width:
            raise MappingError(f"state.{name} takes {width} numbers, and {'/'.join(vector.at)} gives it {end - first}")
        yield _Piece(vector, first, end, part.scale, part.offset)
        return
    if key.rotation != "axis_angle":
        raise MappingError(f"state.{name} is a rotation, {key.rotation} in slots {key.slots}, and nothing gives it")
    for slot in range(*key.slots):
        yield _slot(mapping, name, slot)


def _slot(mapping: Mapping, name: str, slot: int) -> _Piece:
    for vector in mapping.state:
        for part in vector.parts:
            if part.slots is not None and part.rotation == "axis_angle" and part.slots[0] <= slot < part.slots[1]:
                column = (part.columns or (0,))[0] + slot - part.slots[0]
                return _Piece(vector, column, column + 1, part.scale, part.offset)
    known = ", ".join("/".join(vector.at) for vector in mapping.state) or "nothing"
    raise MappingError(f"nothing gives slot {slot} of its state.{name}, the clients send {known}")


def _merged(pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """The same with neighbours together."""
    last: _Piece | None = None
    for piece in pieces:
        if (
            last is not None
            and last.vector is piece.vector
            and (last.end, last.scale, last.offset) == (piece.first, piece.scale, piece.offset)
        ):
            last = _Piece(last.vector, last.first, piece.end, last.scale, last.offset)
        else:
            if last is not None:
                yield last
            last = piece
    if last is not None:
        yield last


def action_columns(mapping: Mapping, keys: MappingType[str, Key]) -> ActionColumns:
    """Find the policy's actions for each part of the mapping.

    Raises:
        MappingError: The robot has no action there, or one of its actions is in no part.
    """
    columns = tuple(tuple(_action_part(part, keys)) for part in mapping.actions)
    used = [f"{piece.key}.{column}" for part in columns for piece in part for column in range(piece.first, piece.end)]
    for name, key in keys.items():
        if any(f"action.{name}.{column}" not in used for column in range(key.width)):
            raise MappingError(f"its action.{name} (slots {key.slots}) would be left out of the answer")
    parts = tuple(
        part.name or part.key or _only_key(pieces) for part, pieces in zip(mapping.actions, columns, strict=True)
    )
    names = parts if len(set(parts)) == len(parts) else tuple(f"part_{index}" for index in range(len(parts)))
    return ActionColumns(names, tuple(name.removeprefix("action.") for name in used), columns)


def _action_part(part: Part, keys: MappingType[str, Key]) -> Iterator[_Columns]:
    if part.slots is None:
        if part.key not in keys:
            raise MappingError(f"it has no action.{part.key}, its actions are {', '.join(keys)}")
        yield _Columns(f"action.{part.key}", 0, keys[part.key].width, part.scale, part.offset)
        return
    slot, end = part.slots
    while slot < end:
        owner = next(((name, key) for name, key in keys.items() if key.slots[0] <= slot < key.slots[1]), None)
        if owner is None:
            there = ", ".join(f"{name} {key.slots}" for name, key in keys.items())
            raise MappingError(f"it has no action in slot {slot}, its actions are {there}")
        name, key = owner
        stop = min(end, key.slots[1])
        yield _Columns(f"action.{name}", slot - key.slots[0], stop - key.slots[0], part.scale, part.offset)
        slot = stop


def _only_key(pieces: tuple[_Columns, ...]) -> str:
    return "_".join(piece.key.removeprefix("action.") for piece in pieces)
