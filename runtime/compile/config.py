"""What the graphs need to know of a checkpoint: sizes and constants from its `config.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from unichunk.runtime.compile.config_document import CONFIG_FILE, STATE_TIMES, ConfigDocument, parse_config
from unichunk.runtime.compile.templates import SYSTEM_MESSAGES
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.compile.config_document import MixtureDocument, VisionDocument
    from unichunk.runtime.policy.manifest import StateTime

VISION_NORMS: Final[dict[str, Literal["layer_norm", "rms_norm"]]] = {
    "layer_norm": "layer_norm",
    "rms_norm": "rms_norm",
}


@dataclass(frozen=True)
class VisionConfig:
    """The vision transformer.

    Attributes:
        width: v, channels of a token.
        layers: Layers to run: those before the hidden state that `select_layer` picks.
        heads: Attention heads.
        mlp: Hidden width of the feed-forward blocks.
        patch: Side of a patch, [px].
        pretrained_grid: Side of the grid that the learned positions belong to, in patches.
        norm: Kind of its normalizations.
        norm_eps: Their epsilon.
        qk_normalization: Whether queries and keys are RMS-normalized over the full width.
        qkv_bias: Whether the fused projection has a bias.
    """

    width: int
    layers: int
    heads: int
    mlp: int
    patch: int
    pretrained_grid: int
    norm: Literal["layer_norm", "rms_norm"]
    norm_eps: float
    qk_normalization: bool
    qkv_bias: bool


@dataclass(frozen=True)
class LanguageConfig:
    """The language model (Qwen3); heads, key-value heads and head width are the expert's as well.

    Attributes:
        width: h, channels of a token.
        mlp: Hidden width of the feed-forward blocks.
        layers: Decoder layers.
        heads: Query heads.
        kv_heads: Key and value heads.
        head_dim: Width of a head.
        norm_eps: Epsilon of the RMS norms.
        rope_theta: Base of the rotary embedding.
        vocabulary: Rows of the token embedding.
    """

    width: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    norm_eps: float
    rope_theta: float
    vocabulary: int


@dataclass(frozen=True)
class ExpertConfig:
    """The action expert: the second set of weights in every decoder layer.

    Attributes:
        width: e, channels of a state or action token.
        mlp: Hidden width of its feed-forward blocks.
        norm_eps: Epsilon of its RMS norms.
    """

    width: int
    mlp: int
    norm_eps: float


@dataclass(frozen=True)
class MpgConfig:
    """Manifold-preserving gating.

    Attributes:
        projections: M, number of random unit directions.
        strength: lambda, weight of the enhancement.
        rounds: N_ref, refinement rounds the checkpoint asks for.
        temperature: tau of the gate.
    """

    projections: int
    strength: float
    rounds: int
    temperature: float


@dataclass(frozen=True)
class MixtureConfig:
    """Mixture of Flow: parallel experts in the upper layers of the action expert.

    Attributes:
        shared_layers: First layers, which all inputs share.
        experts: Of each layer above.
        top_k: How many of them act.
        mlp: Hidden width of an expert's feed-forward blocks.
        router_width: Hidden width of the router.
    """

    shared_layers: int
    experts: int
    top_k: int
    mlp: int
    router_width: int


@dataclass(frozen=True)
class BeingHConfig:
    """A Being-H0.5 checkpoint.

    Attributes:
        vision, language, expert: Its three networks.
        image_size: Side of the square images, [px].
        rows: T, action rows of a chunk.
        denoising_steps: K, Euler steps.
        time_buckets: Discrete flow times; bucket = floor(time_buckets * t).
        mpg: Gating, where the checkpoint gates at inference: with `use_mpg` and a positive `mpg_lambda`.
        system_message: The checkpoint's own, or that of its conversation template.
        prompt_template: Form of the instruction, `long` or `short`.
        simulated_delay: Training locked prefixes of fewer rows than this, from 0 on; None where it locked none.
        thought_tokens: R, tokens of the longest text that it writes before it acts; 0 where it writes none.
        state_time: Tick whose state the policy is told.
        adapter_rank: Hidden values of a slot's adapters; 0 where there are none.
        mixture: Parallel experts in upper layers; None where the action expert has none.
        tied_embeddings: Whether the head of the language model may stand for its token embedding.
    """

    vision: VisionConfig
    language: LanguageConfig
    expert: ExpertConfig
    image_size: int
    rows: int
    denoising_steps: int
    time_buckets: int
    mpg: MpgConfig | None
    system_message: str
    prompt_template: str
    simulated_delay: int | None
    thought_tokens: int
    state_time: StateTime
    adapter_rank: int
    mixture: MixtureConfig | None
    tied_embeddings: bool

    @property
    def grid(self) -> int:
        """Side of an image in patches."""
        return self.image_size // self.vision.patch

    @property
    def trained_delay(self) -> int | None:
        """Longest locked prefix seen in training, in rows, less than the chunk; None where there were none."""
        return None if self.simulated_delay is None else min(self.simulated_delay, self.rows) - 1

    @property
    def image_tokens(self) -> int:
        """Tokens of one view in the language model: the patches, two by two in one."""
        return (self.grid // 2) ** 2


def read_config(path: Path) -> BeingHConfig:
    """Reads `config.json`.

    Args:
        path: The file, or the checkpoint's folder.

    Raises:
        CheckpointError: Missing, not JSON, or a model that the graphs do not compute.
    """
    file = path / CONFIG_FILE if path.is_dir() else path
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{file.parent}: no {CONFIG_FILE}, so this is not a Being-H0.5 checkpoint") from None
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from error
    return config_of(parse_config(content, str(file)))


def config_of(document: ConfigDocument) -> BeingHConfig:
    """The part of a checked document that the graphs need."""
    language, expert = document.llm_config, document.llm_config.expert_config
    assert expert is not None
    return BeingHConfig(
        vision=_vision(document.vit_config, document.select_layer),
        language=LanguageConfig(
            width=language.hidden_size,
            mlp=language.intermediate_size,
            layers=language.num_hidden_layers,
            heads=language.num_attention_heads,
            kv_heads=language.num_key_value_heads,
            head_dim=language.head_dim,
            norm_eps=language.rms_norm_eps,
            rope_theta=float(language.theta),
            vocabulary=language.vocab_size,
        ),
        expert=ExpertConfig(width=expert.hidden_size, mlp=expert.intermediate_size, norm_eps=expert.rms_norm_eps),
        image_size=document.force_image_size or document.vit_config.image_size,
        rows=document.action_chunk_length,
        denoising_steps=document.num_inference_timesteps,
        time_buckets=document.num_timestep_buckets,
        mpg=_mpg(document),
        system_message=_system_message(document),
        prompt_template=document.prompt_template,
        simulated_delay=(document.simulated_delay or None) if document.use_training_time_rtc else None,
        thought_tokens=document.thought_tokens,
        state_time=STATE_TIMES[document.state_time],
        adapter_rank=document.embodiment_adapters.rank if document.embodiment_adapters else 0,
        mixture=_mixture(document.mixture_of_flow),
        tied_embeddings=document.tie_word_embeddings or language.tie_word_embeddings,
    )


def _system_message(document: ConfigDocument) -> str:
    own = document.system_message
    return own if isinstance(own, str) else SYSTEM_MESSAGES[document.template]


def _vision(document: VisionDocument, select_layer: int) -> VisionConfig:
    hidden_states = document.num_hidden_layers + 1  # the embeddings, then each layer's output
    return VisionConfig(
        width=document.hidden_size,
        layers=select_layer if select_layer >= 0 else hidden_states + select_layer,
        heads=document.num_attention_heads,
        mlp=document.intermediate_size,
        patch=document.patch_size,
        pretrained_grid=document.image_size // document.patch_size,
        norm=VISION_NORMS[document.norm_type],
        norm_eps=document.layer_norm_eps,
        qk_normalization=document.qk_normalization,
        qkv_bias=document.qkv_bias,
    )


def _mixture(document: MixtureDocument | None) -> MixtureConfig | None:
    if document is None:
        return None
    return MixtureConfig(
        shared_layers=document.shared_layers,
        experts=document.experts,
        top_k=document.top_k,
        mlp=document.intermediate_size,
        router_width=document.router_size,
    )


def _mpg(document: ConfigDocument) -> MpgConfig | None:
    if not document.gating:
        return None
    assert document.mpg_num_projections is not None
    assert document.mpg_lambda is not None
    assert document.mpg_refinement_iters is not None
    assert document.mpg_gate_temperature is not None
    return MpgConfig(
        projections=document.mpg_num_projections,
        strength=document.mpg_lambda,
        rounds=document.mpg_refinement_iters,
        temperature=document.mpg_gate_temperature,
    )
