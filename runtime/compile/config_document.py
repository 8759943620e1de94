"""`config.json` as published: the fields that matter here, and a clear line for every value the graphs do not do."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta

from unichunk.runtime.compile.json_file import convert_json, parse_json
from unichunk.runtime.compile.templates import INSTRUCTIONS, SYSTEM_MESSAGES
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import StateTime

CONFIG_FILE: Final = "config.json"

Count = Annotated[int, Meta(gt=0)]

STATE_TIMES: Final[dict[str, StateTime]] = {name: name for name in get_args(StateTime)}

MOST_ROWS: Final = 4096
"""Of a chunk."""
MOST_LAYERS: Final = 1000
MOST_PIXELS: Final = 4096
"""Of an image's side."""
MOST_RANK: Final = 256
"""Of a slot's adapters."""
MOST_EXPERTS: Final = 1024
"""Of a layer."""


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that this package does not use are ignored: published files have a hundred."""


class DecoderDocument(_Document, frozen=True, kw_only=True):
    """`expert_config`, and what `llm_config` has in common with it.

    Sizes must be given. The other defaults are those of transformers' `Qwen3Config`, for files that leave out what
    equals them.
    """

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    head_dim: Count = 128
    vocab_size: Count = 151936
    rms_norm_eps: float = 1e-6
    hidden_act: str = "silu"
    attention_bias: bool = False
    use_sliding_window: bool = False
    layer_types: tuple[str, ...] | None = None
    qk_norm: bool = True


class LanguageDocument(DecoderDocument, frozen=True, kw_only=True):
    """`llm_config`. Its rotary embedding is the expert's, too; newer files have `rope_theta` in `rope_parameters`."""

    layer_module: str
    expert_config: DecoderDocument | None = None
    rope_theta: float | None = None
    rope_parameters: dict[str, Any] | None = None
    rope_scaling: dict[str, Any] | None = None
    tie_word_embeddings: bool = False

    @property
    def theta(self) -> Any:
        """Base of the rotary embedding; a positive number once checked."""
        return self.rope_theta if self.rope_theta is not None else (self.rope_parameters or {}).get("rope_theta", 1e4)


class VisionDocument(_Document, frozen=True, kw_only=True):
    """`vit_config`; defaults as in InternVL's `InternVisionConfig`."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    patch_size: Count
    image_size: Count
    num_channels: int = 3
    layer_norm_eps: float = 1e-6
    hidden_act: str = "gelu"
    norm_type: str = "rms_norm"
    qkv_bias: bool = False
    qk_normalization: bool = True


class AdaptersDocument(_Document, frozen=True, kw_only=True):
    """`embodiment_adapters`: hidden values of each slot's adapters."""

    rank: Count


class MixtureDocument(_Document, frozen=True, kw_only=True):
    """`mixture_of_flow`: layers that all inputs share, and the parallel experts of those above."""

    shared_layers: Annotated[int, Meta(ge=0)]
    experts: Count
    top_k: Count
    intermediate_size: Count
    router_size: Count


class ConfigDocument(_Document, frozen=True, kw_only=True):
    """The whole file; defaults as in the published `BeingHConfig`."""

    model_type: str
    llm_config: LanguageDocument
    vit_config: VisionDocument
    template: str
    system_message: str | msgspec.UnsetType = msgspec.UNSET
    tie_word_embeddings: bool = False
    action_chunk_length: Count = 16
    num_inference_timesteps: Count = 4
    prompt_template: str = "long"
    force_image_size: Count | None = None
    downsample_ratio: float = 0.5
    select_layer: int = -1
    connector_arch: str = "internvl_connector"
    use_expert: bool = True
    use_flow_matching: bool = False
    attn_mode: str = "causal"
    layer_select_for_action: int = -1
    num_timestep_buckets: Count = 1000
    use_mpg: bool = False
    mpg_num_projections: Count | None = 32
    mpg_lambda: float | None = 0.0
    mpg_refinement_iters: Annotated[int, Meta(ge=0)] | None = 1
    mpg_gate_temperature: float | None = 2.0
    use_training_time_rtc: bool = False
    simulated_delay: int | None = None
    thought_tokens: Annotated[int, Meta(ge=0)] = 0
    """Not a published field: tokens of the longest text that the policy was trained to write before it acts, with the
    language model's own head (`Manifest.reasoning`); 0 for none."""
    state_time: str = "observation"
    """Not a published field: tick whose state the policy was told in training (`Manifest.state_time`)."""
    embodiment_adapters: AdaptersDocument | None = None
    mixture_of_flow: MixtureDocument | None = None
    """Not published fields: parts of the architecture that the paper describes and the published code lacks."""

    @property
    def gating(self) -> bool:
        """Whether inference gates: as published, only where the enhancement has a weight."""
        return self.use_mpg and self.mpg_lambda is not None and self.mpg_lambda > 0


def parse_config(content: bytes, where: str) -> ConfigDocument:
    """Parses and checks the content of `config.json`.

    Args:
        content: The file's bytes.
        where: The file's name, for messages.

    Raises:
        CheckpointError: With the field, its value and what is expected.
    """
    parsed = parse_json(content, where)
    _check_kind(parsed, where)
    document = convert_json(parsed, ConfigDocument, where)
    check = _Checks(where)
    check.model(document)
    check.decoder("llm_config", document.llm_config)
    check.rotary("llm_config", document.llm_config)
    check.expert(document.llm_config)
    check.vision(document)
    check.sampling(document)
    check.parts(document)
    return document


class _Kind(_Document, frozen=True, kw_only=True):
    """What decides whether the other fields mean anything."""

    class Language(_Document, frozen=True, kw_only=True):
        layer_module: str

    model_type: str
    llm_config: Language


def _check_kind(parsed: object, where: str) -> None:
    """Another kind of model is named as such, before its missing fields are complained about."""
    kind = convert_json(parsed, _Kind, where)
    check = _Checks(where)
    check.equal("model_type", kind.model_type, "beingh", "or unichunk_head: no others can be compiled")
    check.equal(
        "llm_config.layer_module",
        kind.llm_config.layer_module,
        "Qwen3MoTDecoderLayer",
        "other language models are not supported, all published checkpoints are Qwen3",
    )


class _Checks:
    """One line for what the graphs do not do."""

    def __init__(self, where: str) -> None:
        self._where = where

    def equal(self, field: str, value: object, expected: object, why: str = "") -> None:
        """Refuses any other value than the expected one."""
        if value != expected:
            self.fail(field, value, _json(expected) + (f"; {why}" if why else ""))

    def one_of(self, field: str, value: str, expected: object) -> None:
        """Refuses a value that is not among the names."""
        names = list(expected)  # type: ignore[call-overload]
        if value not in names:
            self.fail(field, value, f"one of {', '.join(names)}")

    def at_most(self, field: str, value: int, most: int) -> None:
        """Refuses numbers that no machine has the memory for."""
        if value > most:
            self.fail(field, value, f"at most {most}")

    def positive(self, field: str, value: object) -> None:
        """Refuses what is not a finite number above 0."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 < value < math.inf):  # type: ignore[operator]
            self.fail(field, value, "a positive number")

    def fail(self, field: str, value: object, expected: str) -> None:
        """Raises: the field, its value, what is expected."""
        raise CheckpointError(f"{self._where}: {field} is {_json(value)}, expected {expected}")

    def model(self, document: ConfigDocument) -> None:
        """How the parts are put together."""
        self.equal("use_expert", document.use_expert, expected=True, why="a policy without action expert has no graphs")
        why = "the sampler is a flow (without the field, the published code has none)"
        self.equal("use_flow_matching", document.use_flow_matching, expected=True, why=why)
        self.equal("attn_mode", document.attn_mode, "causal")
        self.equal("connector_arch", document.connector_arch, "internvl_connector")
        self.equal("downsample_ratio", document.downsample_ratio, 0.5)
        self.equal("layer_select_for_action", document.layer_select_for_action, -1)
        self.one_of("template", document.template, SYSTEM_MESSAGES)
        self.one_of("prompt_template", document.prompt_template, INSTRUCTIONS)

    def decoder(self, field: str, decoder: DecoderDocument) -> None:
        """Language model or expert."""
        self.equal(f"{field}.qk_norm", decoder.qk_norm, expected=True)
        self.equal(f"{field}.attention_bias", decoder.attention_bias, expected=False)
        self.equal(f"{field}.use_sliding_window", decoder.use_sliding_window, expected=False)
        self.equal(f"{field}.hidden_act", decoder.hidden_act, "silu")
        for layer, kind in enumerate(decoder.layer_types or ()):
            self.equal(f"{field}.layer_types[{layer}]", kind, "full_attention")
        self.positive(f"{field}.rms_norm_eps", decoder.rms_norm_eps)
        self.at_most(f"{field}.num_hidden_layers", decoder.num_hidden_layers, MOST_LAYERS)
        if decoder.head_dim % 2:
            self.fail(f"{field}.head_dim", decoder.head_dim, "an even number, for the rotary embedding")
        if decoder.num_attention_heads % decoder.num_key_value_heads:
            heads = decoder.num_attention_heads
            self.fail(f"{field}.num_key_value_heads", decoder.num_key_value_heads, f"a divisor of {heads} heads")

    def rotary(self, field: str, decoder: LanguageDocument) -> None:
        """Positions of language model and expert."""
        for name, scaling in (("rope_scaling", decoder.rope_scaling), ("rope_parameters", decoder.rope_parameters)):
            kind = (scaling or {}).get("rope_type", (scaling or {}).get("type", "default"))
            if kind != "default" or (name == "rope_scaling" and (scaling or {}).get("factor", 1.0) != 1.0):
                self.fail(f"{field}.{name}", scaling, "null; scaled rotary embeddings are not supported")
        if decoder.rope_theta is not None:
            self.positive(f"{field}.rope_theta", decoder.rope_theta)
        self.positive(f"{field}.rope_parameters.rope_theta", (decoder.rope_parameters or {}).get("rope_theta", 1e4))

    def expert(self, language: LanguageDocument) -> None:
        """The expert shares the language model's attention."""
        expert = language.expert_config
        if expert is None:
            raise CheckpointError(f"{self._where}: llm_config.expert_config is missing; the action expert is needed")
        self.decoder("llm_config.expert_config", expert)
        for name in ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"):
            why = "attention is shared with the language model"
            self.equal(f"llm_config.expert_config.{name}", getattr(expert, name), getattr(language, name), why)
        if expert.hidden_size % 2 or expert.hidden_size < 4:
            self.fail("llm_config.expert_config.hidden_size", expert.hidden_size, "an even number of at least 4")

    def vision(self, document: ConfigDocument) -> None:
        """Vision transformer and the images that it takes."""
        vision = document.vit_config
        self.equal("vit_config.num_channels", vision.num_channels, 3)
        self.equal("vit_config.hidden_act", vision.hidden_act, "gelu")
        self.one_of("vit_config.norm_type", vision.norm_type, ("layer_norm", "rms_norm"))
        self.positive("vit_config.layer_norm_eps", vision.layer_norm_eps)
        self.at_most("vit_config.num_hidden_layers", vision.num_hidden_layers, MOST_LAYERS)
        if vision.hidden_size % vision.num_attention_heads:
            heads = vision.num_attention_heads
            self.fail("vit_config.hidden_size", vision.hidden_size, f"a multiple of num_attention_heads ({heads})")
        if vision.image_size < vision.patch_size:
            self.fail("vit_config.image_size", vision.image_size, f"at least one patch ({vision.patch_size})")
        size = document.force_image_size or vision.image_size
        if size % (2 * vision.patch_size):
            self.fail("force_image_size", size, f"a multiple of two patches ({2 * vision.patch_size})")
        self.at_most("force_image_size", size, MOST_PIXELS)
        layers = vision.num_hidden_layers
        if not -layers - 1 <= document.select_layer <= layers:
            expected = f"{-layers - 1} to {layers}: the embeddings, then one hidden state a layer"
            self.fail("select_layer", document.select_layer, expected)

    def sampling(self, document: ConfigDocument) -> None:
        """Delays and gating."""
        self.at_most("action_chunk_length", document.action_chunk_length, MOST_ROWS)
        self.one_of("state_time", document.state_time, STATE_TIMES)
        delay = document.simulated_delay
        if document.use_training_time_rtc and delay is not None and delay < 0:
            self.fail("simulated_delay", delay, "0 or more, since use_training_time_rtc is true")
        if not document.use_mpg:
            return
        for name in ("mpg_num_projections", "mpg_lambda", "mpg_refinement_iters", "mpg_gate_temperature"):
            if getattr(document, name) is None:
                self.fail(name, None, "a number, since use_mpg is true")
        if not math.isfinite(document.mpg_lambda or 0.0):
            self.fail("mpg_lambda", document.mpg_lambda, "a finite number")
        if document.gating:
            self.positive("mpg_gate_temperature", document.mpg_gate_temperature)

    def parts(self, document: ConfigDocument) -> None:
        """Adapters and mixture of flow."""
        if document.embodiment_adapters is not None:
            self.at_most("embodiment_adapters.rank", document.embodiment_adapters.rank, MOST_RANK)
        mixture = document.mixture_of_flow
        if mixture is None:
            return
        layers = document.llm_config.num_hidden_layers
        if mixture.shared_layers >= layers:
            expected = f"less than the {layers} layers: the others have the experts"
            self.fail("mixture_of_flow.shared_layers", mixture.shared_layers, expected)
        self.at_most("mixture_of_flow.experts", mixture.experts, MOST_EXPERTS)
        if not 2 <= mixture.top_k <= mixture.experts:
            why = "the share of a single one is always 1, which no router learns from"
            self.fail("mixture_of_flow.top_k", mixture.top_k, f"2 to the number of experts ({mixture.experts}); {why}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
