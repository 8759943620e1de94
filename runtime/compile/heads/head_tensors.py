"""Every weight of a policy with action queries: its name in the checkpoint and its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead, RegressionHead
from unichunk.runtime.compile.tensors import Shapes, linear_tensors, vision_tensors
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import HeadConfig


def head_tensors(config: HeadConfig) -> Shapes:
    """Name -> shape of all weights that the graphs of this configuration read. Linear layers are (outputs, inputs)."""
    shapes = vision_tensors(config.vision) | _context(config)
    if isinstance(config.head, RegressionHead):
        return shapes | _regression(config)
    return shapes | _diffusion(config)


def mlp_tensors(name: str, inputs: int, hidden: int, outputs: int) -> Shapes:
    """Of two linear layers, with an activation between them that has the number 1."""
    return linear_tensors(f"{name}.0", hidden, inputs) | linear_tensors(f"{name}.2", outputs, hidden)


def _context(config: HeadConfig) -> Shapes:
    width, packed = config.context.width, 4 * config.vit.width
    shapes: Shapes = _norm("connector.mlp1.0", packed)
    shapes |= linear_tensors("connector.mlp1.1", width, packed) | linear_tensors("connector.mlp1.3", width, width)
    shapes |= {
        "embed_tokens.weight": (config.vocabulary, width),
        "positions": (config.tokens, width),
        "queries": (config.queries, width),
    }
    state = UNIFIED_WIDTH * (1 + config.state_validity)
    where = width if config.state_in_context else config.decoder.width
    shapes |= mlp_tensors("state_encoder", state, where, where)
    if config.fields_of_view:
        shapes |= mlp_tensors("field_of_view_encoder", 2, width, width)
    for layer in range(config.context.layers):
        name = f"context.{layer}"
        shapes |= _norm(f"{name}.norm1", width) | _norm(f"{name}.norm2", width)
        shapes |= _attention(f"{name}.attn", width)
        shapes |= linear_tensors(f"{name}.mlp.0", config.context.mlp, width)
        shapes |= linear_tensors(f"{name}.mlp.2", width, config.context.mlp)
    return shapes | _norm("context_norm", width)


def _diffusion(config: HeadConfig) -> Shapes:
    width, context = config.decoder.width, config.context.width
    conditions = 2 if isinstance(config.head, DdimHead) else 0
    shapes = mlp_tensors("decoder.embed", UNIFIED_WIDTH * (1 + config.action_mask), width, width)
    shapes |= {"decoder.positions": (conditions + config.rows, width)}
    shapes |= mlp_tensors("decoder.time", width, width, width)
    if isinstance(config.head, DdimHead):
        shapes |= linear_tensors("decoder.condition", width, context) | {"decoder.no_condition": (1, context)}
    for layer in range(config.decoder.layers):
        name = f"decoder.layers.{layer}"
        shapes |= _attention(f"{name}.attn", width) | linear_tensors(f"{name}.modulation", 6 * width, width)
        shapes |= linear_tensors(f"{name}.mlp.0", config.decoder.mlp, width)
        shapes |= linear_tensors(f"{name}.mlp.2", width, config.decoder.mlp)
        if isinstance(config.head, FlowHead):
            shapes |= _norm(f"{name}.cross_norm", width) | linear_tensors(f"{name}.cross.query", width, width)
            shapes |= linear_tensors(f"{name}.cross.key_value", 2 * width, context)
            shapes |= linear_tensors(f"{name}.cross.proj", width, width)
    return (
        shapes
        | linear_tensors("decoder.modulation", 2 * width, width)
        | linear_tensors("decoder.out", UNIFIED_WIDTH, width)
    )


def _regression(config: HeadConfig) -> Shapes:
    width, joined = config.decoder.width, config.queries // config.rows * config.context.width
    shapes = _norm("decoder.norm", joined) | linear_tensors("decoder.embed", width, joined)
    for layer in range(config.decoder.layers):
        name = f"decoder.layers.{layer}"
        shapes |= _norm(f"{name}.norm", width)
        shapes |= linear_tensors(f"{name}.mlp.0", config.decoder.mlp, width)
        shapes |= linear_tensors(f"{name}.mlp.2", width, config.decoder.mlp)
    return shapes | _norm("decoder.out_norm", width) | linear_tensors("decoder.out", UNIFIED_WIDTH, width)


def _attention(name: str, width: int) -> Shapes:
    return linear_tensors(f"{name}.qkv", 3 * width, width) | linear_tensors(f"{name}.proj", width, width)


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
