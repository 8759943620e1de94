"""Every weight that the graphs read: its name in the checkpoint and its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.config import BeingHConfig, MixtureConfig, VisionConfig

Shapes = dict[str, tuple[int, ...]]

EXPERT_SUFFIX = "_mot_gen"
"""What the names of the expert's weights carry."""


def expected_tensors(config: BeingHConfig) -> Shapes:
    """Name -> shape of all weights that the graphs of this configuration read.

    Linear layers are (outputs, inputs). A checkpoint may hold more: the language model's head where it does not think,
    vision layers after the selected one.
    """
    language, expert = config.language, config.expert
    shapes: Shapes = {"language_model.model.embed_tokens.weight": (language.vocabulary, language.width)}
    for layer in range(language.layers):
        prefix = f"language_model.model.layers.{layer}"
        shapes |= _decoder(prefix, "", language.width, language.mlp, config)
        shapes |= _decoder(prefix, EXPERT_SUFFIX, expert.width, expert.mlp, config)
        if config.mixture is not None and layer >= config.mixture.shared_layers:
            shapes = _with_experts(shapes, f"{prefix}.mlp{EXPERT_SUFFIX}", expert.width, config.mixture)
    shapes[f"language_model.model.norm{EXPERT_SUFFIX}.weight"] = (expert.width,)
    if config.thought_tokens:
        shapes["language_model.model.norm.weight"] = (language.width,)
        shapes["language_model.lm_head.weight"] = (language.vocabulary, language.width)
    parts = vision_tensors(config.vision) | _connector(config) | _action(expert.width) | _mpg(config)
    return shapes | parts | _adapters(config) | _router(config)


def linear_tensors(name: str, outputs: int, inputs: int, *, bias: bool = True) -> Shapes:
    """Of a linear layer."""
    weight: Shapes = {f"{name}.weight": (outputs, inputs)}
    return weight | {f"{name}.bias": (outputs,)} if bias else weight


def _decoder(prefix: str, suffix: str, width: int, mlp: int, config: BeingHConfig) -> Shapes:
    language = config.language
    queries, keys = language.heads * language.head_dim, language.kv_heads * language.head_dim
    linear = {
        f"self_attn.q_proj{suffix}": (queries, width),
        f"self_attn.k_proj{suffix}": (keys, width),
        f"self_attn.v_proj{suffix}": (keys, width),
        f"self_attn.o_proj{suffix}": (width, queries),
        f"mlp{suffix}.gate_proj": (mlp, width),
        f"mlp{suffix}.up_proj": (mlp, width),
        f"mlp{suffix}.down_proj": (width, mlp),
    }
    norms = {
        f"input_layernorm{suffix}": (width,),
        f"post_attention_layernorm{suffix}": (width,),
        f"self_attn.q_norm{suffix}": (language.head_dim,),
        f"self_attn.k_norm{suffix}": (language.head_dim,),
    }
    return {f"{prefix}.{name}.weight": shape for name, shape in (linear | norms).items()}


def _with_experts(shapes: Shapes, block: str, width: int, mixture: MixtureConfig) -> Shapes:
    """A layer whose one feed-forward block is replaced by parallel ones."""
    kept = {name: shape for name, shape in shapes.items() if not name.startswith(f"{block}.")}
    for number in range(mixture.experts):
        name = f"{block}.experts.{number}"
        kept |= linear_tensors(f"{name}.gate_proj", mixture.mlp, width, bias=False)
        kept |= linear_tensors(f"{name}.up_proj", mixture.mlp, width, bias=False)
        kept |= linear_tensors(f"{name}.down_proj", width, mixture.mlp, bias=False)
    return kept


def _adapters(config: BeingHConfig) -> Shapes:
    rank, width, slots = config.adapter_rank, config.expert.width, UNIFIED_WIDTH
    if not rank:
        return {}
    shapes: Shapes = {
        "adapters.action_decoder.layer1.weight": (slots, rank, width),
        "adapters.action_decoder.layer1.bias": (slots, rank),
        "adapters.action_decoder.layer2.weight": (slots, 1, rank),
    }
    for name in ("state_encoder", "action_encoder"):
        shapes[f"adapters.{name}.layer1.weight"] = (slots, rank, 1)
        shapes[f"adapters.{name}.layer1.bias"] = (slots, rank)
        shapes[f"adapters.{name}.layer2.weight"] = (slots, width, rank)
    return shapes


def _router(config: BeingHConfig) -> Shapes:
    mixture = config.mixture
    if mixture is None:
        return {}
    inputs = UNIFIED_WIDTH + config.language.width
    return linear_tensors("router.layer1", mixture.router_width, inputs) | linear_tensors(
        "router.layer2", mixture.experts, mixture.router_width
    )


def vision_tensors(vision: VisionConfig) -> Shapes:
    """Of the vision transformer."""
    v, patch = vision.width, vision.patch
    shapes: Shapes = {
        "vit_model.embeddings.class_embedding": (1, 1, v),
        "vit_model.embeddings.patch_embedding.weight": (v, 3, patch, patch),
        "vit_model.embeddings.patch_embedding.bias": (v,),
        "vit_model.embeddings.position_embedding": (1, vision.pretrained_grid**2 + 1, v),
    }
    for layer in range(vision.layers):
        shapes |= _vision_layer(f"vit_model.encoder.layers.{layer}", vision)
    return shapes


def _vision_layer(prefix: str, vision: VisionConfig) -> Shapes:
    v = vision.width
    shapes: Shapes = {f"{prefix}.ls1": (v,), f"{prefix}.ls2": (v,)}
    for norm in ("norm1", "norm2"):
        shapes[f"{prefix}.{norm}.weight"] = (v,)
        if vision.norm == "layer_norm":
            shapes[f"{prefix}.{norm}.bias"] = (v,)
    if vision.qk_normalization:
        shapes |= {f"{prefix}.attn.q_norm.weight": (v,), f"{prefix}.attn.k_norm.weight": (v,)}
    return (
        shapes
        | linear_tensors(f"{prefix}.attn.qkv", 3 * v, v, bias=vision.qkv_bias)
        | linear_tensors(f"{prefix}.attn.proj", v, v)
        | linear_tensors(f"{prefix}.mlp.fc1", vision.mlp, v)
        | linear_tensors(f"{prefix}.mlp.fc2", v, vision.mlp)
    )


def _connector(config: BeingHConfig) -> Shapes:
    packed, width = 4 * config.vision.width, config.language.width
    norm: Shapes = {"connector.mlp1.0.weight": (packed,), "connector.mlp1.0.bias": (packed,)}
    return norm | linear_tensors("connector.mlp1.1", width, packed) | linear_tensors("connector.mlp1.3", width, width)


def _action(width: int) -> Shapes:
    return (
        linear_tensors("proprio_encoder_robot.layer1", width, UNIFIED_WIDTH)
        | linear_tensors("proprio_encoder_robot.layer2", width, width)
        | linear_tensors("action_encoder.W1", width, UNIFIED_WIDTH)
        | linear_tensors("action_encoder.W2", width, 2 * width)
        | linear_tensors("action_encoder.W3", width, width)
        | linear_tensors("action_decoder.layer1", width, width)
        | linear_tensors("action_decoder.layer2", UNIFIED_WIDTH, width)
    )


def _mpg(config: BeingHConfig) -> Shapes:
    if config.mpg is None:
        return {}
    h, e = config.language.width, config.expert.width
    return (
        linear_tensors("action_to_vlm_proj", h, e)
        | linear_tensors("vlm_to_action_proj", e, h)
        | linear_tensors("mpg.obs_proj", h, h)
        | linear_tensors("mpg.action_proj", h, e)
        | linear_tensors("mpg.enhancement_proj", h, h)
    )
