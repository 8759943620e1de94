"""`config.json`: what is read from it, and one line for every model that the graphs do not compute."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compile.golden_files import GOLDEN, drop, golden_config, put
from tests.one_line import refused, refused_at_most
from unichunk.runtime.compile.config import (
    BeingHConfig,
    ExpertConfig,
    LanguageConfig,
    MpgConfig,
    VisionConfig,
    config_of,
    read_config,
)
from unichunk.runtime.compile.config_document import parse_config
from unichunk.runtime.compile.shards import find_shards, open_shard
from unichunk.runtime.compile.sizes import BEING_H_2B, Sizes, config_document
from unichunk.runtime.compile.templates import SYSTEM_MESSAGES
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


def parsed(document: dict[str, Any]) -> BeingHConfig:
    return config_of(parse_config(json.dumps(document).encode(), "config.json"))


def test_the_golden() -> None:
    config = read_config(GOLDEN)
    assert config == BeingHConfig(
        vision=VisionConfig(
            width=48,
            layers=2,
            heads=4,
            mlp=96,
            patch=14,
            pretrained_grid=4,
            norm="layer_norm",
            norm_eps=1e-6,
            qk_normalization=False,
            qkv_bias=True,
        ),
        language=LanguageConfig(
            width=64,
            mlp=128,
            layers=3,
            heads=4,
            kv_heads=2,
            head_dim=16,
            norm_eps=1e-6,
            rope_theta=1e6,
            vocabulary=400,
        ),
        expert=ExpertConfig(width=48, mlp=96, norm_eps=1e-6),
        image_size=56,
        rows=16,
        denoising_steps=4,
        time_buckets=1000,
        mpg=MpgConfig(projections=32, strength=0.1, rounds=2, temperature=2.0),
        system_message=SYSTEM_MESSAGES["internvl2_5"],
        prompt_template="long",
        simulated_delay=None,
        thought_tokens=0,
        state_time="observation",
        adapter_rank=0,
        mixture=None,
        tied_embeddings=True,
    )
    assert (config.grid, config.image_tokens) == (4, 4)
    assert read_config(GOLDEN / "config.json") == config


def test_expected_tensors_are_those_of_the_golden() -> None:
    stored: dict[str, tuple[int, ...]] = {}
    for file in find_shards(GOLDEN):
        with open_shard(file) as shard:
            stored |= {name: tuple(shard.get_slice(name).get_shape()) for name in shard.keys()}  # noqa: SIM118
    expected = expected_tensors(read_config(GOLDEN))
    unread = {"language_model.lm_head.weight", "language_model.model.norm.weight"}
    assert set(stored) - set(expected) == unread
    assert {name: stored[name] for name in expected} == expected


def test_expected_tensors_of_another_vision_tower() -> None:
    document = put(put(golden_config(), "vit_config.norm_type", "rms_norm"), "vit_config.qk_normalization", True)
    names = set(expected_tensors(parsed(put(document, "vit_config.qkv_bias", False))))
    layer = "vit_model.encoder.layers.0"
    assert {f"{layer}.attn.q_norm.weight", f"{layer}.attn.k_norm.weight", f"{layer}.norm1.weight"} <= names
    assert not names & {f"{layer}.norm1.bias", f"{layer}.norm2.bias", f"{layer}.attn.qkv.bias"}
    assert {f"{layer}.attn.proj.bias", f"{layer}.mlp.fc1.bias", f"{layer}.mlp.fc2.bias"} <= names


def test_without_gating_there_are_no_weights_of_it() -> None:
    config = parsed(put(golden_config(), "use_mpg", False))
    assert config.mpg is None
    assert not [name for name in expected_tensors(config) if "mpg" in name or "vlm" in name]


def test_gating_settings_may_be_missing_where_there_is_none() -> None:
    document = put(golden_config(), "use_mpg", False)
    for name in ("mpg_num_projections", "mpg_lambda", "mpg_refinement_iters", "mpg_gate_temperature"):
        drop(document, name)
    assert parsed(document).mpg is None


@pytest.mark.parametrize(("select", "layers"), [(-1, 2), (-2, 1), (-3, 0), (0, 0), (1, 1), (2, 2)])
def test_select_layer_picks_a_hidden_state(select: int, layers: int) -> None:
    config = parsed(put(golden_config(), "select_layer", select))
    assert config.vision.layers == layers
    used = {name.split(".")[3] for name in expected_tensors(config) if name.startswith("vit_model.encoder")}
    assert used == {str(layer) for layer in range(layers)}


def test_image_and_positions_may_differ() -> None:
    config = parsed(put(put(golden_config(), "force_image_size", 112), "vit_config.image_size", 448))
    assert (config.grid, config.vision.pretrained_grid, config.image_tokens) == (8, 32, 16)
    assert expected_tensors(config)["vit_model.embeddings.position_embedding"] == (1, 32 * 32 + 1, 48)


def test_image_size_of_the_vision_tower_where_none_is_forced() -> None:
    assert parsed(put(golden_config(), "force_image_size", None)).image_size == 56


def test_left_out_fields_have_the_defaults_of_transformers() -> None:
    document = golden_config()
    for field in ("head_dim", "rms_norm_eps", "rope_theta", "rope_scaling", "attention_bias", "hidden_act", "qk_norm"):
        drop(document, f"llm_config.{field}")
        drop(document, f"llm_config.expert_config.{field}")
    language = parsed(document).language
    assert (language.head_dim, language.norm_eps, language.rope_theta) == (128, 1e-6, 10000.0)


def test_left_out_fields_have_the_defaults_of_the_published_class() -> None:
    document = put(put(golden_config(), "action_chunk_length", 9), "num_inference_timesteps", 7)
    document = put(put(document, "mpg_refinement_iters", 5), "mpg_num_projections", 3)
    for field in ("use_expert", "action_chunk_length", "num_inference_timesteps"):
        drop(document, field)
    for field in ("mpg_num_projections", "mpg_refinement_iters", "mpg_gate_temperature"):
        drop(document, field)
    config = parsed(document)
    assert (config.rows, config.denoising_steps) == (16, 4)
    assert config.mpg == MpgConfig(projections=32, strength=0.1, rounds=1, temperature=2.0)
    assert parsed(drop(document, "mpg_lambda")).mpg is None
    with refused(CheckpointError, "use_flow_matching", "false", "without the field"):
        parsed(drop(document, "use_flow_matching"))


@pytest.mark.parametrize("strength", [0.0, -0.1])
def test_gating_without_weight_is_none(strength: float) -> None:
    document = put(put(golden_config(), "mpg_lambda", strength), "mpg_gate_temperature", 0.0)
    config = parsed(document)
    assert config.mpg is None
    assert not [name for name in expected_tensors(config) if "mpg" in name or "vlm" in name]


@pytest.mark.parametrize(
    ("trained", "delay", "longest"),
    [
        *((True, 13, 12), (True, 1, 0), (True, 16, 15), (True, 17, 15), (True, 0, None), (True, None, None)),
        *((False, 13, None), (False, -1, None), (None, 13, None)),
    ],
)
def test_delays_of_the_training_are_less_than_simulated_delay(
    trained: bool | None, delay: int | None, longest: int | None
) -> None:
    document = put(put(golden_config(), "simulated_delay", delay), "use_training_time_rtc", trained)
    assert parsed(drop(document, "use_training_time_rtc") if trained is None else document).trained_delay == longest


def test_a_system_message_of_its_own() -> None:
    assert parsed(put(golden_config(), "system_message", "Sei kurz.")).system_message == "Sei kurz."
    assert parsed(put(golden_config(), "system_message", "")).system_message == ""


def test_positions_of_the_expert_are_those_of_the_language_model() -> None:
    document = golden_config()
    for field, value in (
        ("rope_scaling", {"type": "linear", "factor": 2.0}),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": "x"}),
        ("rope_theta", -3),
    ):
        put(document, f"llm_config.expert_config.{field}", value)
    assert parsed(document) == parsed(golden_config())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_of_python_where_nobody_uses_them(value: float) -> None:
    document = put(put(golden_config(), "noise_s", value), "llm_config.initializer_range", value)
    assert "NaN" in json.dumps(document) or "Infinity" in json.dumps(document)
    assert parsed(document) == parsed(golden_config())
    put(put(document, "use_mpg", False), "mpg_lambda", value)
    assert parsed(put(document, "mpg_gate_temperature", value)).mpg is None


@pytest.mark.parametrize(("inner", "outer"), [(True, False), (False, True), (True, True), (False, False)])
def test_tied_embeddings(inner: bool, outer: bool) -> None:
    document = put(put(golden_config(), "tie_word_embeddings", outer), "llm_config.tie_word_embeddings", inner)
    assert parsed(document).tied_embeddings == (inner or outer)
    assert not parsed(drop(drop(document, "tie_word_embeddings"), "llm_config.tie_word_embeddings")).tied_embeddings


def test_rope_theta_of_newer_files() -> None:
    document = drop(golden_config(), "llm_config.rope_theta")
    put(document, "llm_config.rope_parameters", {"rope_type": "default", "rope_theta": 5e6})
    assert parsed(document).language.rope_theta == 5e6


def test_the_published_size() -> None:
    config = parsed(config_document(BEING_H_2B))
    shapes = expected_tensors(config)
    assert (config.image_tokens, config.vision.pretrained_grid) == (64, 32)
    assert shapes["language_model.model.layers.27.self_attn.k_proj_mot_gen.weight"] == (1024, 1024)


@given(
    st.builds(
        Sizes,
        vision_layers=st.integers(1, 4),
        layers=st.integers(1, 3),
        head_dim=st.integers(1, 16).map(lambda half: 2 * half),
        rows=st.integers(1, 32),
        steps=st.integers(1, 10),
        use_mpg=st.booleans(),
        mpg_rounds=st.integers(0, 3),
        prompt_template=st.sampled_from(["long", "short"]),
        simulated_delay=st.none() | st.integers(0, 40),
        state_time=st.sampled_from(["observation", "takeover"]),
        vision_norm=st.sampled_from(["layer_norm", "rms_norm"]),
        adapter_rank=st.integers(0, 9),
        experts=st.just(0) | st.integers(2, 5),
        shared_layers=st.just(0),
    )
)
def test_sizes_come_back(sizes: Sizes) -> None:
    config = parsed(config_document(sizes))
    assert (config.rows, config.denoising_steps, config.prompt_template) == (
        sizes.rows,
        sizes.steps,
        sizes.prompt_template,
    )
    assert (config.language.head_dim, config.vision.norm) == (sizes.head_dim, sizes.vision_norm)
    assert (config.mpg.rounds if config.mpg else None) == (sizes.mpg_rounds if sizes.use_mpg else None)
    assert config.simulated_delay == (sizes.simulated_delay or None)
    assert config.state_time == sizes.state_time
    assert config.adapter_rank == sizes.adapter_rank
    assert (config.mixture.experts if config.mixture else 0) == sizes.experts


MIXTURE = {"shared_layers": 1, "experts": 4, "top_k": 2, "intermediate_size": 24, "router_size": 8}
REFUSED: list[tuple[str, Any, tuple[str, ...]]] = [
    ("model_type", "internvl_chat", ("model_type", '"internvl_chat"', '"beingh"')),
    ("llm_config.layer_module", "Qwen2MoTDecoderLayer", ("layer_module", '"Qwen2MoTDecoderLayer"', "Qwen3")),
    ("llm_config.qk_norm", False, ("llm_config.qk_norm", "false", "true")),
    ("llm_config.attention_bias", True, ("attention_bias", "true", "false")),
    ("llm_config.use_sliding_window", True, ("use_sliding_window", "true", "false")),
    ("llm_config.hidden_act", "gelu", ("hidden_act", '"gelu"', '"silu"')),
    ("llm_config.rope_scaling", {"type": "linear", "factor": 2.0}, ("rope_scaling", "linear", "null")),
    ("llm_config.rope_scaling", {"rope_type": "yarn"}, ("rope_scaling", "yarn", "null")),
    ("llm_config.rope_parameters", {"rope_type": "yarn"}, ("rope_parameters", "yarn", "null")),
    ("llm_config.rope_parameters", {"rope_theta": "x"}, ("rope_theta", '"x"', "positive")),
    ("llm_config.layer_types", ["full_attention", "sliding_attention"], ("layer_types[1]", "full_attention")),
    ("llm_config.head_dim", 15, ("head_dim", "15", "even")),
    ("llm_config.num_key_value_heads", 3, ("num_key_value_heads", "3", "divisor of 4")),
    ("llm_config.hidden_size", 0, ("hidden_size", ">= 1")),
    ("llm_config.rope_theta", "many", ("rope_theta", "float")),
    ("llm_config.expert_config", None, ("expert_config", "missing")),
    ("llm_config.expert_config.num_hidden_layers", 2, ("expert_config.num_hidden_layers", "2", "3", "shared")),
    ("llm_config.expert_config.num_attention_heads", 8, ("expert_config.num_attention_heads", "8", "4")),
    ("llm_config.expert_config.num_key_value_heads", 4, ("expert_config.num_key_value_heads", "4", "2")),
    ("llm_config.expert_config.head_dim", 32, ("expert_config.head_dim", "32", "16")),
    ("llm_config.expert_config.hidden_size", 47, ("expert_config.hidden_size", "47", "even")),
    ("llm_config.expert_config.qk_norm", False, ("expert_config.qk_norm", "false", "true")),
    ("llm_config.expert_config.hidden_act", "relu", ("expert_config.hidden_act", '"relu"', '"silu"')),
    ("vit_config.norm_type", "batch_norm", ("norm_type", '"batch_norm"', "layer_norm, rms_norm")),
    ("vit_config.hidden_act", "gelu_pytorch_tanh", ("vit_config.hidden_act", '"gelu"')),
    ("vit_config.num_channels", 1, ("num_channels", "1", "3")),
    ("vit_config.num_attention_heads", 5, ("hidden_size", "48", "num_attention_heads (5)")),
    ("vit_config.image_size", 13, ("image_size", "13", "14")),
    ("use_expert", False, ("use_expert", "false", "true")),
    ("use_flow_matching", False, ("use_flow_matching", "false", "true")),
    ("attn_mode", "full", ("attn_mode", '"full"', '"causal"')),
    ("connector_arch", "qformer", ("connector_arch", '"qformer"', '"internvl_connector"')),
    ("downsample_ratio", 0.25, ("downsample_ratio", "0.25", "0.5")),
    ("layer_select_for_action", -2, ("layer_select_for_action", "-2", "-1")),
    ("force_image_size", 70, ("force_image_size", "70", "multiple of two patches (28)")),
    ("select_layer", 3, ("select_layer", "3", "-3 to 2")),
    ("select_layer", -4, ("select_layer", "-4", "-3 to 2")),
    ("template", "vicuna", ("template", '"vicuna"', "internvl2_5")),
    ("prompt_template", "medium", ("prompt_template", '"medium"', "long, short")),
    ("action_chunk_length", 0, ("action_chunk_length", ">= 1")),
    ("num_inference_timesteps", 0, ("num_inference_timesteps", ">= 1")),
    ("num_inference_timesteps", "4", ("num_inference_timesteps", "int")),
    ("num_timestep_buckets", 0, ("num_timestep_buckets", ">= 1")),
    ("state_time", "later", ("state_time", '"later"', "observation, takeover")),
    ("embodiment_adapters", {"rank": 0}, ("embodiment_adapters.rank", ">= 1")),
    ("embodiment_adapters", {"rank": 257}, ("embodiment_adapters.rank", "257", "at most 256")),
    ("mixture_of_flow", {**MIXTURE, "shared_layers": 3}, ("shared_layers", "3", "less than the 3 layers")),
    ("mixture_of_flow", {**MIXTURE, "top_k": 1}, ("top_k", "1", "2 to the number of experts (4)", "learns")),
    ("mixture_of_flow", {**MIXTURE, "top_k": 5}, ("top_k", "5", "2 to the number of experts (4)")),
    ("mixture_of_flow", {**MIXTURE, "experts": 1025}, ("experts", "1025", "at most 1024")),
    ("mixture_of_flow", {"experts": 4}, ("mixture_of_flow", "shared_layers")),
    ("simulated_delay", -1, ("simulated_delay", "-1", "0 or more", "use_training_time_rtc")),
    ("system_message", None, ("system_message", "str")),
    ("llm_config.rms_norm_eps", math.nan, ("llm_config.rms_norm_eps", "NaN", "positive")),
    ("llm_config.rms_norm_eps", math.inf, ("llm_config.rms_norm_eps", "Infinity", "positive")),
    ("llm_config.rope_theta", math.nan, ("llm_config.rope_theta", "NaN", "positive")),
    ("llm_config.rope_theta", math.inf, ("llm_config.rope_theta", "Infinity", "positive")),
    ("llm_config.expert_config.rms_norm_eps", 0.0, ("expert_config.rms_norm_eps", "0.0", "positive")),
    ("vit_config.layer_norm_eps", math.nan, ("vit_config.layer_norm_eps", "NaN", "positive")),
    ("downsample_ratio", math.nan, ("downsample_ratio", "NaN", "0.5")),
    ("mpg_lambda", math.nan, ("mpg_lambda", "NaN", "finite")),
    ("mpg_lambda", math.inf, ("mpg_lambda", "Infinity", "finite")),
    ("mpg_gate_temperature", math.nan, ("mpg_gate_temperature", "NaN", "positive")),
    ("action_chunk_length", 4097, ("action_chunk_length", "4097", "at most 4096")),
    ("action_chunk_length", 10**12, ("action_chunk_length", "at most 4096")),
    ("llm_config.num_hidden_layers", 10**9, ("llm_config.num_hidden_layers", "at most 1000")),
    ("vit_config.num_hidden_layers", 10**9, ("vit_config.num_hidden_layers", "at most 1000")),
    ("force_image_size", 28 * 10**6, ("force_image_size", "at most 4096")),
    ("mpg_num_projections", None, ("mpg_num_projections", "null", "use_mpg")),
    ("mpg_refinement_iters", -1, ("mpg_refinement_iters", ">= 0")),
    ("mpg_gate_temperature", 0.0, ("mpg_gate_temperature", "0.0", "positive")),
]


@pytest.mark.parametrize(("field", "value", "words"), REFUSED, ids=[f"{field}={value}" for field, value, _ in REFUSED])
def test_refused(tmp_path: Path, field: str, value: Any, words: tuple[str, ...]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(put(golden_config(), field, value)))
    with refused(CheckpointError, str(tmp_path / "config.json"), *words):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "field",
    ["model_type", "llm_config", "llm_config.layer_module", "llm_config.hidden_size", "vit_config", "template"],
)
def test_a_missing_field_is_named(field: str) -> None:
    with refused(CheckpointError, "config.json", field.rsplit(".", 1)[-1], "missing"):
        parsed(drop(golden_config(), field))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b'{"model_type": "\xff"}', b'{"x": ' + b"[" * 9000, b'{"x": NaN, ' + b"[" * 9000),
        *(b'{"x": NaN', b"{'x': NaN}", b'{"x": NaN, "y": "\\ud800"}', b'{"x": NaN, "y": ' + b"1" * 5000 + b"}"),
        *(b'{"x": nan}', b'\xff{"x": NaN}'),
    ],
)
def test_not_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with refused(CheckpointError, "config.json", "JSON"):
        read_config(tmp_path)


def test_no_config(tmp_path: Path) -> None:
    with refused(CheckpointError, str(tmp_path), "no config.json"):
        read_config(tmp_path)


FIELDS = [
    field
    for section in ("", "llm_config.", "llm_config.expert_config.", "vit_config.")
    for field in (
        f"{section}{name}"
        for name, value in (
            golden_config()
            if not section
            else golden_config()["llm_config"]["expert_config"]
            if "expert" in section
            else golden_config()[section[:-1]]
        ).items()
        if not isinstance(value, dict)
    )
]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2000), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)


@given(st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), min_size=1, max_size=3))
def test_any_damage_is_one_line_or_harmless(damage: list[tuple[str, Any]]) -> None:
    document = golden_config()
    for field, value in damage:
        put(document, field, value)
    with refused_at_most(CheckpointError):
        expected_tensors(parsed(document))
