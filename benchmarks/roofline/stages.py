"""What an inference computes, stage by stage, as the compiled graphs do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.roofline.devices import BYTES
from unichunk.benchmarks.roofline.operations import Operation, Pointwise, attention, linear

if TYPE_CHECKING:
    from unichunk.benchmarks.roofline.architecture import DecoderShape, Model

NORM: Final = (3, 6)
"""Passes and nodes of an RMS norm."""
HEADS: Final = (8, 16)
"""Of head norms, rotary embedding and the moves around them."""


@dataclass(frozen=True)
class Stage:
    """A part of an inference.

    Attributes:
        name: Of the stage.
        graph: Which graph it belongs to.
        operations: Of one execution.
        repeats: Executions in an inference.
    """

    name: str
    graph: str
    operations: tuple[Operation, ...]
    repeats: int = 1

    @property
    def flops(self) -> float:
        """Of one execution."""
        return sum(operation.flops for operation in self.operations)

    @property
    def weight_bytes(self) -> float:
        """Of one execution."""
        return sum(operation.weight_bytes for operation in self.operations)

    @property
    def kv_bytes(self) -> float:
        """Of one execution."""
        return sum(operation.kv_bytes for operation in self.operations)

    @property
    def activation_bytes(self) -> float:
        """Of one execution, in fused kernels."""
        return sum(operation.activation_bytes for operation in self.operations)


def stages(model: Model) -> list[Stage]:
    """All stages, in order; those that do not happen are left out."""
    steps, rounds = model.workload.steps, model.workload.rounds
    found = [
        Stage("vision tower", "prefix", _vision(model)),
        Stage("language prefix", "prefix", _prefix(model)),
        Stage("Euler step", "chunk", _step(model), steps * (1 + rounds)),
    ]
    if rounds:
        found += [
            Stage("MPG gate", "chunk", _gate(model), steps * rounds),
            Stage("MPG anchor", "chunk", _anchor(model), rounds),
        ]
    return found


def parameters(model: Model) -> int:
    """Weights in the matrices of a compiled model; norms, biases and tables, about a thousandth, are left out."""
    shape = model.decoder
    matrices = (*_vision(model), *_decoder(model, 1, 1, 0, last_whole=True), *_coding(model))
    weights = sum(operation.weight_bytes for operation in matrices) / BYTES[model.workload.precision]
    gating = 0 if model.directions is None else shape.width * (shape.width + 4 * shape.expert_width)
    return round(weights) + gating + shape.vocabulary * shape.width


def _vision(model: Model) -> tuple[Operation, ...]:
    vision, size, views = model.vision, BYTES[model.workload.precision], model.workload.views
    patches, layers = model.grid**2, vision.layers
    tokens = patches + int(vision.class_token)
    rows, width, head = views * tokens, vision.width, vision.width // vision.heads
    attended: list[Operation] = attention(tokens, tokens, vision.heads, vision.heads, head, size, views * layers)
    merged = views * model.image_tokens
    connector = [linear(merged, *layer, size) for layer in vision.connector]
    return (
        linear(views * patches, 3 * vision.patch**2, width, size),
        Pointwise(rows * width, passes=3, nodes=4),
        Pointwise(rows * width, passes=1, nodes=1, count=2 * layers),
        linear(rows, width, 3 * width, size, layers),
        Pointwise(3 * rows * width, passes=3, nodes=8, count=layers),
        *attended,
        linear(rows, width, width, size, layers),
        Pointwise(rows * width, passes=3, nodes=4, count=layers),
        linear(rows, width, vision.mlp, size, layers),
        Pointwise(rows * vision.mlp, passes=5, nodes=5, count=layers),
        linear(rows, vision.mlp, width, size, layers),
        Pointwise(rows * width, passes=2, nodes=2, count=layers),
        Pointwise(merged * vision.connector[0][0], passes=3, nodes=5),
        *connector,
        Pointwise(merged * vision.connector[0][1], passes=5, nodes=5),
    )


def _prefix(model: Model) -> tuple[Operation, ...]:
    language, state = model.language_tokens, int(model.decoder.state_token)
    return (*_state(model), *_decoder(model, language, state, model.prefix_tokens, last_whole=False))


def _decoder(model: Model, language: int, expert: int, keys: int, *, last_whole: bool) -> tuple[Operation, ...]:
    """Decoder layers over tokens of both kinds; of the last one, keys and values alone unless it is whole."""
    shape, size = model.decoder, BYTES[model.workload.precision]
    whole = shape.layers if last_whole else shape.layers - 1
    rows = language + expert
    found: list[Operation] = []
    if language:
        found += _half_layer(shape, language, shape.width, shape.mlp, size, whole)
        if not last_whole:
            found.append(linear(language, shape.width, 2 * shape.kv_heads * shape.head_dim, size))
            found.append(Pointwise(language * shape.width, *NORM))
    if expert:
        found += _half_layer(shape, expert, shape.expert_width, shape.expert_mlp, size, whole)
        if not last_whole:
            found.append(linear(expert, shape.expert_width, _heads_width(shape), size))
            found.append(Pointwise(expert * shape.expert_width, *NORM))
    if keys:
        found.append(Pointwise(rows * (shape.heads + shape.kv_heads) * shape.head_dim, *HEADS, count=shape.layers))
        found += attention(rows, keys, shape.heads, shape.kv_heads, shape.head_dim, size, whole)
    return tuple(found)


def _half_layer(shape: DecoderShape, rows: int, width: int, mlp: int, size: int, count: int) -> list[Operation]:
    """What one kind of tokens goes through apart from attention, in `count` layers."""
    return [
        Pointwise(rows * width, *NORM, count=2 * count),
        linear(rows, width, _heads_width(shape), size, count),
        linear(rows, shape.heads * shape.head_dim, width, size, count),
        linear(rows, width, 2 * mlp, size, count),
        Pointwise(rows * mlp, passes=4, nodes=4, count=count),
        linear(rows, mlp, width, size, count),
    ]


def _heads_width(shape: DecoderShape) -> int:
    """Queries, keys and values of a token."""
    return (shape.heads + 2 * shape.kv_heads) * shape.head_dim


def _state(model: Model) -> tuple[Operation, ...]:
    shape, size = model.decoder, BYTES[model.workload.precision]
    if not shape.state_token:
        return ()
    return (
        linear(1, shape.action_width, shape.expert_width, size),
        linear(1, shape.expert_width, shape.expert_width, size),
    )


def _encoded(model: Model) -> tuple[Operation, ...]:
    """Actions to embeddings, the first two matrices folded into one."""
    shape, size, rows = model.decoder, BYTES[model.workload.precision], model.workload.rows
    return (
        linear(rows, shape.action_width, shape.expert_width, size),
        Pointwise(rows * shape.expert_width, passes=2, nodes=3),
        linear(rows, shape.expert_width, shape.expert_width, size),
    )


def _decoded(model: Model) -> tuple[Operation, ...]:
    shape, size, rows = model.decoder, BYTES[model.workload.precision], model.workload.rows
    return (
        linear(rows, shape.expert_width, shape.expert_width, size),
        Pointwise(rows * shape.expert_width, passes=4, nodes=9),
        linear(rows, shape.expert_width, shape.action_width, size),
    )


def _coding(model: Model) -> tuple[Operation, ...]:
    return (*_state(model), *_encoded(model), *_decoded(model))


def _step(model: Model) -> tuple[Operation, ...]:
    """One Euler step: the action rows through the expert, over the kept keys and values and their own."""
    rows = model.workload.rows
    return (
        *_encoded(model),
        *_decoder(model, 0, rows, model.prefix_tokens + rows, last_whole=True),
        *_decoded(model),
    )


def _gate(model: Model) -> tuple[Operation, ...]:
    shape, size, rows = model.decoder, BYTES[model.workload.precision], model.workload.rows
    width, expert = shape.width, shape.expert_width
    return (
        linear(rows, expert, width, size),
        linear(rows, width, width, size),
        Pointwise(rows * width, passes=2, nodes=10),
        linear(rows, width, model.directions or 0, 4),
        linear(rows, width, expert, size, 2),
    )


def _anchor(model: Model) -> tuple[Operation, ...]:
    shape, size, rows = model.decoder, BYTES[model.workload.precision], model.workload.rows
    return (
        *_encoded(model),
        linear(rows, shape.expert_width, shape.width, size),
        Pointwise(rows * shape.width, passes=2, nodes=2),
        linear(1, shape.width, model.directions or 0, 4),
    )
