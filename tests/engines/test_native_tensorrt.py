"""The native TensorRT engine on stand-ins of TensorRT and CUDA: its own logic. Nothing here ran on a GPU."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.engines.cuda_stand_in import DeviceProperties, cudaError_t
from tests.engines.tensorrt_graphs import counter, first_of_pair, second_of_pair, with_a_further_output
from tests.engines.tensorrt_stand_in import TensorRTStandIn, stand_in
from tests.one_line import refused
from tests.policy.damage import put_file, set_value
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError, EngineError
from unichunk.runtime.policy import EngineOptions, Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.engines.graph_file import GraphFile, graph_file
from unichunk.runtime.policy.engines.native_tensorrt.cuda import CudaFault
from unichunk.runtime.policy.engines.native_tensorrt.engine import TensorRTEngine
from unichunk.runtime.policy.manifest import Graph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

X = np.array([1.0, -2.5, 0.125, 1024.0], np.float32)


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> TensorRTStandIn:
    return stand_in(monkeypatch)


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    return EngineOptions(name="tensorrt", cache=tmp_path / "cache")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


@pytest.fixture(autouse=True)
def _nothing_left(tensorrt: TensorRTStandIn) -> Iterator[None]:
    """Every test gives back all memory, streams and recordings, whatever went wrong in it."""
    yield
    if any(tensorrt.cuda.in_use.values()):
        # Not for nothing in every test: it takes a while.
        gc.collect()
    assert set(tensorrt.cuda.in_use.values()) == {0}


def inferred(policy: Policy, times: int = 1) -> list[np.ndarray[Any, Any]]:
    observation = policy.example_observation()
    noise = np.random.default_rng(0).normal(size=(1 + policy.refinement_rounds, policy.chunk_length, 200))
    before = np.linspace(-1, 1, policy.chunk_length * 200, dtype=np.float32).reshape(-1, 200)
    return [policy.infer(observation, before, 3, noise.astype(np.float32)).unified for _ in range(times)]


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_a_policy_gives_what_it_gives_on_the_cpu(tensorrt, options, bundle, rounds, cuda_graphs):
    policy = Policy.load(bundle, refinement_rounds=rounds, engine=replace(options, cuda_graphs=cuda_graphs))
    (expected,) = inferred(Policy.load(bundle, refinement_rounds=rounds))
    for unified in inferred(policy, 3):
        np.testing.assert_array_equal(unified, expected)
    assert ("cudaGraphLaunch" in tensorrt.cuda.calls) == cuda_graphs


def test_after_the_warm_up_a_run_is_one_launch_per_graph(tensorrt, options, bundle):
    policy = Policy.load(bundle, engine=options)
    tensorrt.cuda.calls.clear()
    inferred(policy)
    assert tensorrt.cuda.calls == ["cudaSetDevice", "cudaGraphLaunch", "cudaStreamSynchronize"] * 2


def test_features_stay_on_the_device(tensorrt, options, bundle):
    manifest = read_manifest(bundle)
    prefix = TensorRTEngine(graph_file(bundle, manifest, manifest.graphs.prefix, resident=True), options)
    chunk = TensorRTEngine(graph_file(bundle, manifest, manifest.graphs.chunks[0], resident=False), options)
    reference = Policy.load(bundle)
    inputs = reference.preprocess(reference.example_observation())
    tensorrt.cuda.calls.clear()
    features = prefix.run(inputs)
    copied = tensorrt.cuda.calls.count("cudaMemcpyAsync")
    assert copied == len(manifest.graphs.prefix.inputs)
    chunk.run({**inputs, **features})
    # Noise, previous chunk and delay there, actions back; what the prefix gave is read where it lies.
    assert tensorrt.cuda.calls.count("cudaMemcpyAsync") - copied == 3 + 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_features_of_half_types(tensorrt, options, tmp_path, dtype):
    first = TensorRTEngine(first_of_pair(tmp_path, dtype), options)
    second = TensorRTEngine(second_of_pair(tmp_path, dtype), options)
    features = first.run({"x": X, "of no matter": X})
    np.testing.assert_array_equal(features["f"].numpy().astype(np.float32), X)
    np.testing.assert_array_equal(second.run(features)["y"].numpy(), X)
    host = features["f"].numpy()
    assert host.dtype == (np.float32 if dtype == "bfloat16" else np.float16)
    np.testing.assert_array_equal(second.run({"f": host})["y"].numpy(), X)


def test_an_engine_may_be_fed_what_it_gave(tensorrt, options, tmp_path):
    engine = TensorRTEngine(counter(tmp_path), options)
    value: Any = np.zeros(4, np.float32)
    for count in range(1, 6):
        value = engine.run({"count": value})["next"]
        np.testing.assert_array_equal(value.numpy(), np.full(4, count, np.float32))
    assert engine.recorded


def test_an_overwritten_value_is_refused_and_a_kept_one_is_not(tensorrt, options, tmp_path):
    engine = TensorRTEngine(counter(tmp_path), options)
    old = engine.run({"count": X})
    kept = engine.kept(old)
    new = engine.run({"count": X + 1})["next"]
    with refused(EngineError, "`next` of run 1 was overwritten by run 2", "before the next"):
        old["next"].numpy()
    with refused(EngineError, "`next` of run 1"):
        engine.run({"count": old["next"]})
    np.testing.assert_array_equal(new.numpy(), X + 2)
    engine.run({"count": X + 7})
    np.testing.assert_array_equal(kept["next"].numpy(), X + 1)
    np.testing.assert_array_equal(engine.run({"count": kept["next"]})["next"].numpy(), X + 2)


def test_outputs_for_the_host_are_the_receivers_own(tensorrt, options, tmp_path):
    engine = TensorRTEngine(with_a_further_output(tmp_path), options)
    first = engine.run({"x": X})
    assert [*first] == ["y"]
    second = engine.run({"x": -X})
    assert engine.kept(first)["y"] is first["y"]
    np.testing.assert_array_equal(first["y"].numpy(), 2 * X)
    np.testing.assert_array_equal(second["y"].numpy(), -2 * X)


def test_inputs_from_places_that_change_are_right_and_not_recorded(tensorrt, options, tmp_path):
    first = TensorRTEngine(first_of_pair(tmp_path, "float16"), options)
    second = TensorRTEngine(second_of_pair(tmp_path, "float16"), options)
    for number in range(4):
        features = first.run({"x": X + number})
        given: Any = features if number % 2 else first.kept(features)
        np.testing.assert_array_equal(second.run(given)["y"].numpy(), (X + number).astype(np.float16))
        assert not second.recorded
    for _ in range(3):
        second.run(first.run({"x": X}))
    assert second.recorded
    np.testing.assert_array_equal(second.run({"f": X.astype(np.float16)})["y"].numpy(), X)
    assert not second.recorded


def test_runs_in_another_thread(tensorrt, options, tmp_path):
    engine = TensorRTEngine(counter(tmp_path), options)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(engine.run({"count": X})["next"].numpy()))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0], X + 1)
    # Each thread has a device of its own choice.
    assert tensorrt.cuda.calls.count("cudaSetDevice") == 3


def test_work_that_cannot_be_recorded_is_launched_piece_by_piece(tensorrt, options, tmp_path):
    tensorrt.never_records = True
    said: list[str] = []
    engine = TensorRTEngine(counter(tmp_path), options, said.append)
    for _ in range(4):
        np.testing.assert_array_equal(engine.run({"count": X})["next"].numpy(), X + 1)
    (line,) = said
    assert "counter.onnx: kernels are launched one by one" in line
    assert "not permitted when stream is capturing" in line
    assert not engine.recorded


@pytest.mark.parametrize("call", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"])
def test_a_recording_that_fails_on_the_way(tensorrt, options, tmp_path, call):
    said: list[str] = []
    engine = TensorRTEngine(counter(tmp_path), options, said.append)
    engine.run({"count": X})
    tensorrt.cuda.failing[call] = cudaError_t.cudaErrorMemoryAllocation
    np.testing.assert_array_equal(engine.run({"count": X})["next"].numpy(), X + 1)
    tensorrt.cuda.failing.clear()
    np.testing.assert_array_equal(engine.run({"count": X + 1})["next"].numpy(), X + 2)
    assert len(said) == 1
    assert f"{call} failed with cudaErrorMemoryAllocation (2)" in said[0]


def test_a_device_that_fails_while_it_computes(tensorrt, options, tmp_path):
    engine = TensorRTEngine(counter(tmp_path), options)
    tensorrt.cuda.failing["cudaStreamSynchronize"] = cudaError_t.cudaErrorIllegalAddress
    with refused(CudaFault, "cudaStreamSynchronize failed with cudaErrorIllegalAddress (700)"):
        engine.run({"count": X})


def test_inputs_of_another_shape_or_type(tensorrt, options, tmp_path):
    first = TensorRTEngine(first_of_pair(tmp_path, "bfloat16"), options)
    second = TensorRTEngine(second_of_pair(tmp_path, "float16"), options)
    for given, words in ((X[:3], "(3,) float32"), (X.astype(np.float64), "(4,) float64")):
        with refused(ValueError, "input `x`: expected (4,) float32", words):
            first.run({"x": given})
    with refused(ValueError, "input `f`: expected (4,) float16, got (4,) bfloat16"):
        second.run(first.run({"x": X}))
    third = TensorRTEngine(second_of_pair(tmp_path, "bfloat16"), options)
    with refused(ValueError, "input `f`: expected numbers that bfloat16 has"):
        third.run({"f": np.full(4, np.pi, np.float32)})


# Bundles that do not fit


def test_a_damaged_graph(tensorrt, options, bundle):
    put_file(bundle, "chunk.onnx", (bundle / "chunk.onnx").read_bytes()[:300])
    with refused(BundleError, "chunk.onnx: not a graph that TensorRT 10.13.0 can run", "fetch or build the bundle"):
        Policy.load(bundle, engine=options)


def test_a_graph_of_another_chunk_length(tensorrt, options, bundle, tmp_path):
    longer = write_tiny_bundle(tmp_path / "longer", chunk_length=9)
    put_file(bundle, "chunk.onnx", (longer / "chunk.onnx").read_bytes())
    with refused(BundleError, "chunk.onnx: input `noise` is ((1, 9, 200), 'float32'), bundle.json says ((1, 8, 200)"):
        Policy.load(bundle, engine=options)


def test_the_two_graphs_swapped(tensorrt, options, bundle):
    prefix, chunk = (bundle / "prefix.onnx").read_bytes(), (bundle / "chunk.onnx").read_bytes()
    put_file(bundle, "prefix.onnx", chunk)
    put_file(bundle, "chunk.onnx", prefix)
    with refused(BundleError, "prefix.onnx: input `images` is in bundle.json, the graph has"):
        Policy.load(bundle, engine=options)


def test_a_graph_with_an_input_that_the_manifest_has_not(tensorrt, options, bundle, tmp_path):
    silent = write_tiny_bundle(tmp_path / "silent", max_tokens=None)
    put_file(silent, "prefix.onnx", (bundle / "prefix.onnx").read_bytes())
    with refused(BundleError, "the graph needs inputs ['tokens'] that bundle.json does not describe"):
        Policy.load(silent, engine=options)


def test_int8_weights(tensorrt, options, tmp_path):
    with refused(BundleError, "int8 weights are for ONNX Runtime alone", "--engine onnxruntime", "--precision fp16"):
        TensorRTEngine(replace(counter(tmp_path), precision="int8"), options)
    assert not tensorrt.builds


def test_an_operator_of_onnx_runtimes_own(tensorrt, options, tmp_path):
    import onnx

    file = counter(tmp_path)
    model = onnx.load(file.path)
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.microsoft", "MatMulNBits"
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    file.path.write_bytes(model.SerializeToString())
    with refused(BundleError, "No importer registered for op: MatMulNBits", "choose another --engine"):
        TensorRTEngine(file, options)


def test_a_tensor_that_decides_shapes(tensorrt, options, tmp_path):
    tensorrt.decides_shapes = {"count"}
    with refused(BundleError, "counter.onnx: `count` decides shapes"):
        TensorRTEngine(counter(tmp_path), options)


def test_bfloat16_on_a_device_without_it(tensorrt, options, bundle):
    tensorrt.cuda.devices = [DeviceProperties(b"Old", 7, 5)]
    set_value(bundle, "precision", "bf16")
    with refused(BundleError, "Old has compute capability 7.5, bf16 in TensorRT needs 8.0", "--precision fp16"):
        Policy.load(bundle, engine=options)


# Memory


def test_no_memory_for_an_output(tensorrt, options, bundle):
    tensorrt.cuda.memory = 5000
    with refused(EngineError, "chunk.onnx: output `actions`: out of memory on Stand-in (no GPU)", "MiB asked for"):
        Policy.load(bundle, engine=options)


def test_no_memory_to_build(tensorrt, options, bundle):
    tensorrt.build_error = "Error Code 2: OutOfMemory (Requested size was 9663676416 bytes.)"
    with refused(EngineError, "prefix.onnx: building its engine", "9663676416", "out of memory on", "GiB are free"):
        Policy.load(bundle, engine=options)


def test_no_memory_to_load(tensorrt, options, bundle):
    tensorrt.load_errors = ["Requested amount of GPU memory (5368709120 bytes) could not be allocated."]
    with refused(EngineError, "prefix.onnx: loading its engine", "5368709120", "out of memory on"):
        Policy.load(bundle, engine=options)


def test_no_memory_for_what_is_computed_in_between(tensorrt, options, bundle):
    tensorrt.no_context = True
    with refused(EngineError, "prefix.onnx: memory of its engine", "out of memory on"):
        Policy.load(bundle, engine=options)


def test_an_engine_that_cannot_be_built(tensorrt, options, bundle):
    tensorrt.build_error = "Error Code 10: Internal Error (Could not find any implementation for node Gemm_3.)"
    with refused(EngineError, "cannot build an engine of it on Stand-in (no GPU)", "Gemm_3", "another --engine"):
        Policy.load(bundle, engine=options)


def test_the_memory_that_an_engine_may_take(tensorrt, options, bundle):
    Policy.load(bundle, engine=replace(options, memory_gib=0.5))
    workspace = tensorrt.configs[0].workspace
    assert workspace is not None
    assert 0 < (1 << 29) - workspace < 1_000_000
    assert not tensorrt.configs[0].tf32
    with refused(EngineError, "weights and tensors take", "1e-06 GiB are allowed", "allow more"):
        Policy.load(bundle, engine=replace(options, memory_gib=1e-6))


# Plans that are kept


def test_a_plan_is_built_once(tensorrt, options, bundle):
    for _ in range(2):
        inferred(Policy.load(bundle, engine=options))
    assert tensorrt.builds == 2
    # The second graph's build began with what the first one's had measured.
    assert tensorrt.began_with == [b"", b"timings+"]


@pytest.mark.parametrize("change", ["version", "device", "driver", "capability", "graph", "memory"])
def test_what_a_plan_depends_on(tensorrt, options, tmp_path, monkeypatch, capsys, change):
    file = counter(tmp_path)
    TensorRTEngine(file, options)
    if change == "version":
        version, cuda = "10.14.1", tensorrt.cuda
        tensorrt = stand_in(monkeypatch, version)
        tensorrt.builds, tensorrt.cuda.driver = 1, cuda.driver
    elif change == "device":
        tensorrt.cuda.devices = [DeviceProperties(b"Another", 9, 0)]
    elif change == "driver":
        tensorrt.cuda.driver = 13000
    elif change == "capability":
        tensorrt.cuda.devices = [DeviceProperties(tensorrt.cuda.devices[0].name, 8, 9)]
    elif change == "graph":
        file = replace(file, hashes={"counter.onnx": "0" * 64})
    else:
        options = replace(options, memory_gib=1.0)
    TensorRTEngine(file, options)
    assert tensorrt.builds == 2
    # It was not looked at: nothing had to be refused.
    assert not capsys.readouterr().err


def test_a_plan_that_was_changed_is_built_again(tensorrt, options, bundle, capsys):
    Policy.load(bundle, engine=options)
    (plan, _) = sorted(options.cache.glob("*/engine.plan"))
    content = bytearray(plan.read_bytes())
    content[-3] ^= 1
    plan.write_bytes(content)
    inferred(Policy.load(bundle, engine=options))
    assert tensorrt.builds == 3
    warned = capsys.readouterr().err
    assert warned.count("\n") == 1
    assert "engine.plan was changed or damaged; this engine is built again" in warned


def test_each_build_begins_with_all_that_was_timed_before(tensorrt, options, tmp_path):
    for file in (counter(tmp_path), first_of_pair(tmp_path, "float16"), second_of_pair(tmp_path, "float16")):
        TensorRTEngine(file, options)
    assert tensorrt.began_with == [b"", b"timings+", b"timings++"]
    tensorrt.cuda.devices = [DeviceProperties(b"Another", 9, 0)]
    TensorRTEngine(counter(tmp_path), options)
    assert tensorrt.began_with[3] == b""


def test_timings_that_were_changed_are_not_begun_with(tensorrt, options, tmp_path):
    TensorRTEngine(counter(tmp_path), options)
    (timings,) = options.cache.glob("*/timings.bin")
    timings.write_bytes(b"something else")
    TensorRTEngine(first_of_pair(tmp_path, "float16"), options)
    assert tensorrt.began_with == [b"", b""]


def test_a_plan_that_tensorrt_refuses_is_built_again_once(tensorrt, options, tmp_path, capsys):
    TensorRTEngine(counter(tmp_path), options)
    tensorrt.load_errors = ["Error Code 1: Serialization (Version tag does not match)"]
    engine = TensorRTEngine(counter(tmp_path), options)
    np.testing.assert_array_equal(engine.run({"count": X})["next"].numpy(), X + 1)
    assert tensorrt.builds == 2
    assert "built again" in capsys.readouterr().err
    tensorrt.load_errors = ["Version tag does not match"] * 2
    with refused(EngineError, "counter.onnx: TensorRT 10.13.0 does not take the engine that it has just built"):
        TensorRTEngine(counter(tmp_path), options)


def test_a_graph_of_unknown_content_is_not_kept(tensorrt, options, tmp_path):
    for _ in range(2):
        TensorRTEngine(replace(counter(tmp_path), hashes={}), options)
    assert tensorrt.builds == 2
    assert not options.cache.exists()


def test_a_file_with_other_outputs_than_its_bundle_says(tensorrt, options, tmp_path):
    file = counter(tmp_path)
    other = Graph(file="counter.onnx", inputs=file.signature.inputs, outputs=file.signature.inputs)
    with refused(BundleError, "counter.onnx: output `count` is in bundle.json, the graph has ['next']"):
        TensorRTEngine(GraphFile(file.path, other, hashes=file.hashes), options)
