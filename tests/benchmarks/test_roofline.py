"""The roofline model: its arithmetic against the compiled graphs, its figures against the estimate by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.benchmarks.roofline.architecture import Model, model_of
from unichunk.benchmarks.roofline.bundles import model_of_bundle, value_shapes
from unichunk.benchmarks.roofline.devices import BYTES, CAUTIOUS, DEVICES, device_named
from unichunk.benchmarks.roofline.errors import ProjectionError
from unichunk.benchmarks.roofline.memory import memory_need
from unichunk.benchmarks.roofline.operations import Pointwise, Product
from unichunk.benchmarks.roofline.peers import peer_rows
from unichunk.benchmarks.roofline.prediction import predict, seconds_of, stage_time
from unichunk.benchmarks.roofline.rates import PeakCurve, Rates
from unichunk.benchmarks.roofline.reference import reference_rows
from unichunk.benchmarks.roofline.sizes import named_model
from unichunk.benchmarks.roofline.stages import Stage, parameters, stages
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.config import read_config
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from pathlib import Path

SIZES = Sizes(vision_layers=3, vision_heads=4, layers=3, heads=6, kv_heads=2, image_size=56, mpg_rounds=2, steps=3)
positive = st.floats(1.0, 1e6)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint and its bundle."""
    folder = tmp_path_factory.mktemp("roofline")
    random_checkpoint(folder / "checkpoint", SIZES)
    options = CompileOptions("libero_nonorm", "uni_posttrain", instruction_tokens=7)
    compile_checkpoint(folder / "checkpoint", folder / "bundle", options)
    return folder / "checkpoint", folder / "bundle"


def counted(graph: Any) -> tuple[float, float]:
    """Arithmetic of all products of a graph, and bytes of the weights in them."""
    shapes = value_shapes(graph)
    weights = {tensor.name for tensor in graph.graph.initializer}
    flops, matrices = 0.0, set()
    for node in graph.graph.node:
        if node.op_type in {"Gemm", "MatMul"}:
            inner = shapes[node.input[0]][-1]
            flops += 2.0 * inner * math.prod(shapes[node.output[0]])
            matrices |= {node.input[1]} & weights
    return flops, 4.0 * sum(math.prod(shapes[name]) for name in matrices)


def assert_counts_are_the_graphs(bundle: Path, model: Model) -> None:
    manifest = read_manifest(bundle)
    for rounds in (0, model.workload.rounds):
        found = stages(model.asked(rounds=rounds))
        chunk = next(graph for graph in manifest.graphs.chunks if graph.refinement_rounds == rounds)
        for name, file in (("prefix", manifest.graphs.prefix.file), ("chunk", chunk.file)):
            flops, weights = counted(onnx.load(bundle / file, load_external_data=False))
            mine = [stage for stage in found if stage.graph == name]
            assert sum(stage.flops * stage.repeats for stage in mine) == pytest.approx(flops, rel=1e-9), (name, rounds)
            if not rounds:  # stages of a refined chunk share weights
                assert sum(stage.weight_bytes for stage in mine) == pytest.approx(weights, rel=1e-9), name


def test_arithmetic_and_weights_are_those_of_the_compiled_graphs(compiled: tuple[Path, Path]) -> None:
    assert_counts_are_the_graphs(compiled[1], model_of_bundle(compiled[1]))


def test_and_of_the_shipped_ones() -> None:
    for bundle in shipped_bundles():
        assert_counts_are_the_graphs(bundle, model_of_bundle(bundle))


def test_a_bundle_and_the_configuration_it_came_from_are_the_same_model(compiled: tuple[Path, Path]) -> None:
    bundle = model_of_bundle(compiled[1])
    config = model_of(read_config(compiled[0]), "", views=2, instruction_tokens=7, precision="fp32")
    assert bundle.vision == config.vision
    assert bundle.decoder == config.decoder
    assert bundle.directions == config.directions
    assert bundle.trained_delay == config.trained_delay
    # The configuration does not know the tokenizer, so its prompt is an estimate.
    same = {"text_tokens": 0, "head_tokens": 0}
    assert replace(bundle.workload, **same) == replace(config.workload, **same)


def test_parameters_are_those_of_the_checkpoint(compiled: tuple[Path, Path]) -> None:
    exact = sum(math.prod(shape) for shape in expected_tensors(read_config(compiled[0])).values())
    assert parameters(model_of_bundle(compiled[1])) == pytest.approx(exact, rel=0.15)  # small ones have many biases
    assert parameters(named_model("being-h05-2b")) == pytest.approx(2.49e9, rel=0.01)


def test_the_estimate_by_hand_comes_out_again() -> None:
    rows = reference_rows()
    assert len(rows) == 8
    for row in rows:
        assert row["ms"] == pytest.approx(row["reference_ms"], rel=0.02), row
        assert row["detailed_ms"] == pytest.approx(row["reference_ms"], rel=0.3), row


def test_published_runs_lie_between_the_roofline_and_the_cautious_share() -> None:
    checked = [row for row in peer_rows() if "published_ms" in row and not row["bound_elsewhere"]]
    assert len(checked) == 6
    for row in checked:
        assert CAUTIOUS < row["share"] < 1.0, row
        assert row["share"] == pytest.approx(row["roofline_ms"] / row["published_ms"])
        assert 0.7 < row["expected_over_published"] < 1.4, row
    assert min(row["share"] for row in checked) == pytest.approx(CAUTIOUS, abs=0.02)


def test_on_orin_the_prefix_is_bound_by_arithmetic_and_the_steps_by_memory() -> None:
    model = named_model("being-h05-2b")
    shares = {
        time.stage.name: time.arithmetic_share
        for time in predict(stages(model), device_named("orin-nx-16").bound("bf16"))
    }
    assert shares["vision tower"] > 0.9
    assert shares["language prefix"] > 0.8
    assert shares["Euler step"] == 0


operations = st.one_of(
    st.builds(
        Product,
        rows=st.integers(1, 300),
        flops=positive,
        weight_bytes=positive,
        kv_bytes=positive,
        activation_bytes=positive,
        count=st.integers(1, 5),
    ),
    st.builds(
        Pointwise,
        elements=st.integers(1, 10**6),
        passes=st.integers(1, 5),
        nodes=st.integers(1, 9),
        inside=st.booleans(),
    ),
)
rates = st.builds(
    Rates,
    peak=positive.map(PeakCurve.flat),
    bandwidth=positive,
    pointwise_bandwidth=positive,
    launch_s=st.floats(0, 1e-3),
    fused=st.booleans(),
    cache_bytes=st.floats(0, 1e6),
)


@settings(deadline=None)
@given(operations, rates, st.floats(1.0, 10.0))
def test_a_faster_machine_is_never_slower(operation: Product | Pointwise, slow: Rates, factor: float) -> None:
    stage = Stage("", "prefix", (operation,))
    time = stage_time(stage, slow).seconds
    for fast in (
        replace(slow, peak=PeakCurve.flat(slow.peak.rates[0] * factor)),
        replace(slow, bandwidth=slow.bandwidth * factor, pointwise_bandwidth=slow.pointwise_bandwidth * factor),
        replace(slow, launch_s=slow.launch_s / factor),
        replace(slow, cache_bytes=slow.cache_bytes * factor),
    ):
        assert stage_time(stage, fast).seconds <= time * (1 + 1e-12)


@settings(deadline=None)
@given(operations, rates, st.floats(1.0, 10.0))
def test_more_work_is_never_faster(operation: Product | Pointwise, machine: Rates, factor: float) -> None:
    time = stage_time(Stage("", "prefix", (operation,)), machine).seconds
    if isinstance(operation, Product):
        more = [
            replace(operation, **{name: getattr(operation, name) * factor})
            for name in ("flops", "weight_bytes", "kv_bytes", "activation_bytes")
        ]
    else:
        more = [replace(operation, elements=int(operation.elements * factor))]
        more += [replace(operation, passes=operation.passes + 1), replace(operation, nodes=operation.nodes + 1)]
    for larger in more:
        assert stage_time(Stage("", "prefix", (larger,)), machine).seconds >= time * (1 - 1e-12)
    assert stage_time(Stage("", "prefix", (operation,), 3), machine).seconds == pytest.approx(3 * time)


@pytest.mark.parametrize(
    "change", [{"views": 3}, {"steps": 5}, {"rounds": 3}, {"image_size": 252}, {"text_tokens": 150}]
)
def test_asking_for_more_takes_longer_everywhere(change: dict[str, int]) -> None:
    model = named_model("being-h05-2b")
    for device in DEVICES.values():
        for machine in (device.bound("bf16"), device.expected("bf16")):
            assert seconds_of(predict(stages(model.asked(**change)), machine)) > seconds_of(
                predict(stages(model), machine)
            )


def test_the_peak_between_two_measurements_lies_between_them() -> None:
    curve = PeakCurve((1, 16, 256), (1e9, 8e9, 4e9))
    assert curve.at(1) == pytest.approx(1e9)
    assert 1e9 < curve.at(4) < 8e9
    assert curve.at(10_000) == pytest.approx(4e9)


def test_devices_have_dense_peaks_and_sources() -> None:
    assert set(DEVICES) >= {"orin-nx-8", "orin-nx-16", "agx-orin-64", "thor", "rtx-4090", "rtx-5090", "h100", "h200"}
    for device in DEVICES.values():
        assert device.sources
        assert set(device.tera) <= set(BYTES)
        assert device.tera["fp32"] < device.tera["fp16"] == device.tera["bf16"]
        # A sparse figure in the table would be out of proportion. GeForce sums FP16 products in 32 bits at half speed.
        proportions = {"fp8": 2, "int8": 4 if device.name.startswith("rtx") else 2}
        for eight_bits in set(device.tera) & set(proportions):
            assert device.tera[eight_bits] == pytest.approx(proportions[eight_bits] * device.tera["fp16"], rel=0.02)
        assert device.expected("bf16").bandwidth < device.bound("bf16").bandwidth == 1e9 * device.bandwidth_gb


def test_an_unknown_device_names_those_there_are() -> None:
    with pytest.raises(ProjectionError, match=r"unknown device 'orin': expected one of orin-nx-8, .*, h200") as refused:
        device_named("orin")
    assert "\n" not in str(refused.value)
    with pytest.raises(ProjectionError, match=r"thor: no dense peak known for precision 'int8': expected one of fp32"):
        device_named("thor").bound("int8")


def test_what_does_not_fit_into_memory_is_said() -> None:
    model, small = named_model("being-h05-2b"), device_named("orin-nx-8")
    need = memory_need(model, small)
    assert need.fits
    assert "building an engine there does not fit" in need.verdict()
    need = memory_need(model.asked(precision="fp32"), small)
    assert not need.fits
    assert need.verdict().startswith("does not fit: the weights alone take 9.97 of 6.0 GB")
    assert memory_need(model.asked(precision="fp32"), device_named("orin-nx-16")).fits
