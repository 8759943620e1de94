"""ONNX Runtime with fixed places on a device, bound for real on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from tests.engines.arms import KEEPS, bound_builder, local_options, noise_of, use_bound
from tests.engines.contract import a_chunk, an_observation
from tests.engines.thinking import write_thinking_bundle
from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.policy.tiny_graphs import GraphBuilder
from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy import EngineOptions, Policy
from unichunk.runtime.policy.engines.graph_file import GraphFile
from unichunk.runtime.policy.engines.onnx_device import HostDevice
from unichunk.runtime.policy.engines.onnx_value import DeviceValue
from unichunk.runtime.policy.manifest import Graph, Tensor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.arms import BoundBuilder
    from unichunk.runtime.policy.engines.onnx_bound import BoundOnnxRuntimeEngine

SHAPE = (2, 3)
X = np.arange(6, dtype=np.float32).reshape(SHAPE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bound") / "tiny")


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> BoundBuilder:
    return use_bound(monkeypatch)


def doubling(builder: BoundBuilder, folder: Path, *, resident: bool, dtype: Any = "float32") -> BoundOnnxRuntimeEngine:
    """An engine whose output `y` is 2 x."""
    x = Tensor(name="x", shape=SHAPE, dtype=dtype)
    build = GraphBuilder(Graph(file="twice.onnx", inputs=(x,), outputs=(Tensor(name="y", shape=SHAPE, dtype=dtype),)))
    build.add("Add", "x", "x", output="y")
    return builder(GraphFile(build.write(folder), build.signature, resident=resident), EngineOptions())


def test_features_cross_no_bus(folder: Path, builder: BoundBuilder) -> None:
    policy = Policy.load(folder, engine=EngineOptions(name="onnxruntime-cuda"))
    prefix, chunk = builder.engines
    uploaded = builder.device.host_arrays
    # Page-locked memory for images, text and state; for noise, previous chunk and delay; none for features.
    assert uploaded == 6
    for seed in range(3):
        policy.infer(an_observation(policy, seed), a_chunk(policy, seed), 2)
    assert builder.device.host_arrays == uploaded
    assert set(chunk._slots) == {"noise", "previous_chunk", "delay"}
    (recorded,) = builder.sessions[1].recorded.values()
    features = {name: value.data_ptr() for name, value in prefix._outputs.items()}
    assert features.items() <= recorded[1].items(), "the chunk graph reads features where the prefix graph wrote them"


def test_graphs_are_recorded_when_the_policy_is_loaded(folder: Path, builder: BoundBuilder) -> None:
    policy = Policy.load(folder, engine=EngineOptions(name="onnxruntime-cuda"))
    assert [session.runs for session in builder.sessions] == [2, 2]
    policy.infer(policy.example_observation())
    assert [session.runs for session in builder.sessions] == [3, 3]
    assert [list(session.recorded) for session in builder.sessions] == [[1], [1]]
    policy.for_embodiment("so101")
    assert len(builder.sessions) == 2, "the same engines"
    assert builder.sessions[0].runs == 3, "which are warm"


@KEEPS
def test_the_first_token_of_a_thought_is_warm_too(tmp_path: Path, builder: BoundBuilder) -> None:
    policy = Policy.load(write_thinking_bundle(tmp_path / "thinking"), engine=EngineOptions(name="onnxruntime-cuda"))
    token = builder.sessions[2]
    assert (token.runs, list(token.recorded)) == (2, [1])
    reasoner = policy.reasoner()
    assert reasoner is not None
    for seed in (1, 2):
        reasoner.begin(an_observation(policy, seed))
        for _ in range(3):
            reasoner.step()
            policy.infer(policy.example_observation())
    assert (token.runs, list(token.recorded)) == (8, [1])
    assert list(builder.sessions[1].recorded) == [1]


def test_another_prefix_engine_is_another_variant(folder: Path, builder: BoundBuilder) -> None:
    policies = [Policy.load(folder, engine=EngineOptions(name="onnxruntime-cuda")) for _ in range(2)]
    requests = [policy.preprocess(an_observation(policy, 1), noise=noise_of(policy, 1)) for policy in policies]
    expected = policies[0].denoise(requests[0], policies[0].prefix(requests[0]))["actions"].numpy()
    crossed = policies[0].denoise(requests[0], policies[1].prefix(requests[1]))["actions"].numpy()
    np.testing.assert_array_equal(crossed, expected)
    assert list(builder.sessions[1].recorded) == [1, 2]


@KEEPS
def test_a_value_that_was_overwritten_is_refused(tmp_path: Path) -> None:
    engine = doubling(bound_builder(), tmp_path, resident=True)
    first = engine.run({"x": X, "of no matter": X})
    kept = engine.kept(first)
    engine.run({"x": X + 1})
    with refused(EngineError, "`y` of run 1 was overwritten by run 2", "have it kept"):
        first["y"].numpy()
    with refused(EngineError, "`y` of run 1 was overwritten by run 2"):
        engine.run({"x": first["y"]})
    with refused(EngineError, "`y` of run 1 was overwritten by run 2"):
        engine.kept(first)
    with refused(EngineError, "`y` of run 1 was overwritten by run 2"):
        doubling(bound_builder(), tmp_path, resident=False).run({"x": first["y"]})
    np.testing.assert_array_equal(kept["y"].numpy(), 2 * X)


@KEEPS
def test_an_engine_may_be_fed_what_it_gave(tmp_path: Path) -> None:
    engine = doubling(bound_builder(), tmp_path, resident=True)
    values = engine.run({"x": X})
    for _ in range(3):
        values = engine.run({"x": values["y"]})
    np.testing.assert_array_equal(values["y"].numpy(), 16 * X)


def test_outputs_for_the_host_are_the_receivers_own(tmp_path: Path) -> None:
    engine = doubling(bound_builder(), tmp_path, resident=False)
    first = engine.run({"x": X})
    engine.run({"x": X + 1})
    np.testing.assert_array_equal(first["y"].numpy(), 2 * X)
    assert engine.kept(first)["y"] is first["y"]
    # What another engine gave on the host is an input as well.
    np.testing.assert_array_equal(engine.run({"x": first["y"]})["y"].numpy(), 4 * X)


@KEEPS
def test_kept_values_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = bound_builder()
    first, second = (doubling(builder, tmp_path, resident=True) for _ in range(2))
    kept = first.kept(first.run({"x": X}))["y"]
    copies: list[Any] = []

    def current(value: DeviceValue) -> Any:
        copies.append(value)
        return value.content

    monkeypatch.setattr(DeviceValue, "current", current)
    for given, times in ((kept, 1), (kept, 1), (X, 1), (kept, 2), (kept, 2)):
        result = second.run({"x": given})["y"]
        assert copies.count(kept) == times
        del copies[times:]
        expected = 2 * X if given is X else 4 * X
        np.testing.assert_array_equal(np.array(result.content.numpy()), expected)  # type: ignore[attr-defined]


@KEEPS
def test_two_kept_values_take_turns(tmp_path: Path) -> None:
    builder = bound_builder()
    first, second = (doubling(builder, tmp_path, resident=True) for _ in range(2))
    kept = [first.kept(first.run({"x": X + offset}))["y"] for offset in (0, 1)]
    for turn in (0, 1, 1, 0, 1):
        np.testing.assert_array_equal(second.run({"x": kept[turn]})["y"].numpy(), 4 * (X + turn))


@KEEPS
def test_features_of_bfloat16_stay_where_they_are(tmp_path: Path) -> None:
    import onnx

    builder = bound_builder()
    x = Tensor(name="x", shape=SHAPE, dtype="float32")
    low = Tensor(name="low", shape=SHAPE, dtype="bfloat16")
    down = GraphBuilder(Graph(file="down.onnx", inputs=(x,), outputs=(low,)))
    down.add("Cast", "x", to=onnx.TensorProto.BFLOAT16, output="low")
    up = GraphBuilder(Graph(file="up.onnx", inputs=(low,), outputs=(Tensor(name="y", shape=SHAPE, dtype="float32"),)))
    up.add("Cast", "low", to=onnx.TensorProto.FLOAT, output="y")
    first, second = (
        builder(GraphFile(build.write(tmp_path), build.signature, resident=build is down), EngineOptions())
        for build in (down, up)
    )
    features = first.run({"x": X})
    np.testing.assert_array_equal(second.run(features)["y"].numpy(), X)
    kept = first.kept(features)
    first.run({"x": X + 1})
    np.testing.assert_array_equal(second.run(kept)["y"].numpy(), X)
    with refused(EngineError, "input `low`", "expected bfloat16"):
        second.run({"low": X})


@pytest.mark.parametrize(
    "wrong", [X.astype(np.float64), X[:1], X.T, X.tolist()], ids=["type", "rows", "turned", "list"]
)
def test_inputs_of_another_shape_or_type(tmp_path: Path, wrong: Any) -> None:
    engine = doubling(bound_builder(), tmp_path, resident=False)
    with refused(EngineError, "input `x`: expected float32 of shape (2, 3)"):
        engine.run({"x": np.asarray(wrong)})
    np.testing.assert_array_equal(engine.run({"x": X})["y"].numpy(), 2 * X)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. "
            "Name:'fc1' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* "
            "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory "
            "for requested buffer of size 939524096",
            ("twice.onnx: out of memory (the next 896.0 MiB)", "--gpu-memory"),
        ),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", ("failed while it ran", "illegal")),
    ],
)
def test_a_device_that_fails_while_it_computes(tmp_path: Path, said: str, words: tuple[str, ...]) -> None:
    builder = bound_builder()
    engine = doubling(builder, tmp_path, resident=False)
    real = builder.sessions[0].run_with_iobinding

    def failing(binding: Any, options: Any) -> None:
        raise ort.RuntimeException(said)

    builder.sessions[0].run_with_iobinding = failing  # type: ignore[method-assign]
    with refused(EngineError, *words):
        engine.run({"x": X})
    builder.sessions[0].run_with_iobinding = real  # type: ignore[method-assign]
    np.testing.assert_array_equal(engine.run({"x": X})["y"].numpy(), 2 * X)


def test_the_processor_as_a_device() -> None:
    device = HostDevice()
    assert device.call(lambda: 3) == 3
    assert device.host_array((2, 3), "float32").shape == (2, 3)


def test_robots_with_other_numbers_of_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of views has engines of its own, built when the first such robot is loaded; batches may mix them."""
    from tests.engines.views import two_numbers_of_views

    folder = two_numbers_of_views(tmp_path)
    plain = Policy.load(folder, embodiment="so101")
    policy = Policy.load(folder, embodiment="so101", engine=local_options("onnxruntime-bound", monkeypatch, tmp_path))
    wide = policy.for_embodiment("wide")
    policies = [policy, wide, policy, wide]
    requests = [
        one.preprocess(an_observation(one, seed), noise=noise_of(one, seed)) for seed, one in enumerate(policies)
    ]
    assert [len(request["images"]) for request in requests] == [1, 3, 1, 3]
    outputs = policy.infer_batch(requests)
    for one, request, output in zip(policies, requests, outputs, strict=True):
        expected = plain.for_embodiment(one.embodiment).infer_batch([request])[0]
        np.testing.assert_array_equal(output["actions"].numpy(), expected["actions"].numpy())
