"""Sizes of a Being-H0.5 model, and the `config.json` that says them in the published words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from unichunk.runtime.policy.manifest import StateTime


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What can be chosen of a model; the defaults are as small as tests like them.

    Attributes:
        vision_*: Vision transformer: width, layers, heads, feed-forward width; `vision_image_size` is the one that
            its learned positions belong to, [px]; norm is `layer_norm` or `rms_norm`.
        image_size: Side of the images, [px].
        select_layer: Hidden state of the vision transformer that is used.
        width, mlp, layers, heads, kv_heads, head_dim, vocabulary: Language model.
        expert_width, expert_mlp: Action expert.
        rows: T of a chunk.
        steps: K, Euler steps.
        use_mpg: Whether there is gating; then M directions, lambda, refinement rounds, tau.
        prompt_template: `long` or `short`.
        simulated_delay: Training locks prefixes of fewer rows than this; None or 0 for none.
        thought_tokens: Longest text that it writes before it acts, in tokens; 0 for none.
        state_time: Tick whose state the policy is told: `observation` or `takeover`.
        adapter_rank: Hidden values of each slot's adapters; 0 for none.
        experts: Parallel experts in the layers of the action expert behind the first `shared_layers`; 0 for none. Then
            `top_k` of them act, of width `experts_mlp` each, and the router's hidden width is `router_width`.
    """

    vision_width: int = 32
    vision_layers: int = 2
    vision_heads: int = 2
    vision_mlp: int = 64
    vision_image_size: int = 28
    vision_norm: str = "layer_norm"
    vision_norm_eps: float = 1e-6
    vision_qkv_bias: bool = True
    vision_qk_normalization: bool = False
    patch: int = 14
    image_size: int = 28
    select_layer: int = -1
    width: int = 48
    mlp: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    vocabulary: int = 400
    norm_eps: float = 1e-6
    rope_theta: float = 1000000.0
    expert_width: int = 32
    expert_mlp: int = 48
    rows: int = 8
    steps: int = 2
    time_buckets: int = 1000
    use_mpg: bool = True
    mpg_projections: int = 8
    mpg_strength: float = 0.1
    mpg_rounds: int = 1
    mpg_temperature: float = 2.0
    prompt_template: str = "long"
    simulated_delay: int | None = None
    thought_tokens: int = 0
    state_time: StateTime = "observation"
    adapter_rank: int = 0
    experts: int = 0
    top_k: int = 2
    shared_layers: int = 1
    experts_mlp: int = 24
    router_width: int = 16


BEING_H_2B: Final = Sizes(
    vision_width=1024,
    vision_layers=24,
    vision_heads=16,
    vision_mlp=4096,
    vision_image_size=448,
    image_size=224,
    width=2048,
    mlp=6144,
    layers=28,
    heads=16,
    kv_heads=8,
    head_dim=128,
    vocabulary=151936,
    expert_width=1024,
    expert_mlp=3072,
    rows=16,
    steps=4,
    mpg_projections=32,
    mpg_rounds=2,
)
"""The published 2B size: InternViT-300M, Qwen3-1.7B, an expert half as wide."""


def config_document(sizes: Sizes) -> dict[str, Any]:
    """Content of `config.json` for a model of these sizes."""
    return {
        "architectures": ["BeingH"],
        "model_type": "beingh",
        "llm_config": {
            **_decoder(sizes, sizes.width, sizes.mlp),
            "architectures": ["Qwen3ForCausalLM"],
            "layer_module": "Qwen3MoTDecoderLayer",
            "use_mot": True,
            "expert_config": {
                **_decoder(sizes, sizes.expert_width, sizes.expert_mlp),
                "layer_module": "Qwen3DecoderLayer",
                "use_mot": False,
            },
        },
        "vit_config": _vision(sizes),
        "connector_arch": "internvl_connector",
        "template": "internvl2_5",
        "select_layer": sizes.select_layer,
        "force_image_size": sizes.image_size,
        "downsample_ratio": 0.5,
        "action_chunk_length": sizes.rows,
        "action_token_num": sizes.rows,
        "gen_action_type": "prop_hidden",
        "layer_select_for_action": -1,
        "prompt_template": sizes.prompt_template,
        "use_expert": True,
        "use_flow_matching": True,
        "attn_mode": "causal",
        "num_timestep_buckets": sizes.time_buckets,
        "num_inference_timesteps": sizes.steps,
        "use_mpg": sizes.use_mpg,
        "mpg_lambda": sizes.mpg_strength,
        "mpg_num_projections": sizes.mpg_projections,
        "mpg_refinement_iters": sizes.mpg_rounds,
        "mpg_gate_temperature": sizes.mpg_temperature,
        "use_training_time_rtc": bool(sizes.simulated_delay),
        "use_inference_prefix_overwrite": True,
        "simulated_delay": sizes.simulated_delay,
        # Not a published field, and left out where it says what is published.
        **({"thought_tokens": sizes.thought_tokens} if sizes.thought_tokens else {}),
        **({} if sizes.state_time == "observation" else {"state_time": sizes.state_time}),
        **({"embodiment_adapters": {"rank": sizes.adapter_rank}} if sizes.adapter_rank else {}),
        **({"mixture_of_flow": _mixture(sizes)} if sizes.experts else {}),
    }


def _mixture(sizes: Sizes) -> dict[str, int]:
    return {
        "shared_layers": sizes.shared_layers,
        "experts": sizes.experts,
        "top_k": sizes.top_k,
        "intermediate_size": sizes.experts_mlp,
        "router_size": sizes.router_width,
    }


def _decoder(sizes: Sizes, width: int, mlp: int) -> dict[str, Any]:
    return {
        "model_type": "qwen3",
        "vocab_size": sizes.vocabulary,
        "hidden_size": width,
        "intermediate_size": mlp,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": sizes.norm_eps,
        "rope_theta": sizes.rope_theta,
        "rope_scaling": None,
        "attention_bias": False,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "qk_norm": True,
    }


def _vision(sizes: Sizes) -> dict[str, Any]:
    return {
        "architectures": ["InternVisionModel"],
        "model_type": "intern_vit_6b",
        "hidden_size": sizes.vision_width,
        "intermediate_size": sizes.vision_mlp,
        "num_hidden_layers": sizes.vision_layers,
        "num_attention_heads": sizes.vision_heads,
        "num_channels": 3,
        "patch_size": sizes.patch,
        "image_size": sizes.vision_image_size,
        "layer_norm_eps": sizes.vision_norm_eps,
        "hidden_act": "gelu",
        "norm_type": sizes.vision_norm,
        "qkv_bias": sizes.vision_qkv_bias,
        "qk_normalization": sizes.vision_qk_normalization,
    }
