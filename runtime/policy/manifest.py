"""`bundle.json`: what a policy bundle holds and how its numbers are meant (format version 1)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

FORMAT_VERSION: Final = 1

PositiveInt = Annotated[int, Meta(gt=0)]
Slot = Annotated[int, Meta(ge=0)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class NoNormalization(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="none"):
    """Raw physical values."""


class MeanStd(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="mean_std"):
    """(x - mean) / std, one value per slot."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class MinMax(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="min_max"):
    """2 (x - low) / (high - low) - 1, one value per slot."""

    low: tuple[float, ...]
    high: tuple[float, ...]


Normalization = NoNormalization | MeanStd | MinMax


class Key(_Struct, frozen=True, kw_only=True):
    """A state or action key: the half-open slice of the unified vector it fills, and its normalization."""

    slots: tuple[Slot, Slot]
    normalization: Normalization

    @property
    def width(self) -> int:
        """Number of values of this key."""
        return self.slots[1] - self.slots[0]


class ImageInput(_Struct, frozen=True, kw_only=True):
    """How a camera image becomes the graph's input: resized to (height, width), /255, (x - mean) / std per channel."""

    height: PositiveInt
    width: PositiveInt
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class LanguageInput(_Struct, frozen=True, kw_only=True):
    """How the instruction becomes token ids: UTF-8 bytes + 1, padded with 0 to `max_tokens`."""

    tokenizer: Literal["utf8_bytes"]
    max_tokens: PositiveInt


class Tensor(_Struct, frozen=True, kw_only=True):
    """Name, shape and type of one graph input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int64"]


class Graph(_Struct, frozen=True, kw_only=True):
    """One compiled graph: its file and its signature."""

    file: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Graphs(_Struct, frozen=True, kw_only=True):
    """The two graphs of a policy.

    `prefix`: `images` (V, 3, H, W) float32, `tokens` (1, L) int64 (where the policy takes language), `state`
    (1, 200) float32 -> features or keys and values, once per observation.
    `chunk`: `noise` (rounds, T, 200) float32, `previous_chunk` (T, 200) float32, `delay` () int64 and all outputs of
    the prefix graph -> `actions` (T, 200) float32; rows before `delay` equal those of the previous chunk, bit by bit.
    """

    prefix: Graph
    chunk: Graph


class Manifest(_Struct, frozen=True, kw_only=True):
    """Content of `bundle.json`.

    Attributes:
        chunk_length: T, rows of a chunk.
        unified_width: Width of the unified vectors.
        denoising_steps: K, Euler steps unrolled in the chunk graph.
        action_hz: Rows a second that the policy was trained at.
        max_delay: Longest locked prefix seen in training, in rows.
        embodiments: Robots this policy drives.
        cameras: Cameras in the order of the graph's views.
        state, action: Keys and their slots; `observation["state.<key>"]`, `result.actions["action.<key>"]`.
        files: SHA-256 of every other file in the bundle.
        provenance: How it was made; free text, for people.
    """

    format_version: int
    name: str
    description: str
    chunk_length: PositiveInt
    unified_width: PositiveInt
    denoising_steps: PositiveInt
    action_hz: PositiveInt
    max_delay: Annotated[int, Meta(ge=0)]
    embodiments: Annotated[tuple[str, ...], Meta(min_length=1)]
    cameras: Annotated[tuple[str, ...], Meta(min_length=1)]
    image: ImageInput
    language: LanguageInput | None
    state: dict[str, Key]
    action: Annotated[dict[str, Key], Meta(min_length=1)]
    graphs: Graphs
    files: dict[str, str] = {}
    provenance: dict[str, str] = {}
