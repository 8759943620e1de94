"""ONNX Runtime's GPU providers: which sessions are asked for, and what becomes of what they build.

Sessions are computed by the CPU here; what the providers do is played: they write engines into the cache's folder,
refuse to be recorded, are left out in silence, run out of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from tests.engines.arms import OneThread
from tests.engines.fake_driver import FakeDriver
from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError, EngineError
from unichunk.runtime.policy import EngineOptions, Policy
from unichunk.runtime.policy.engines import onnx_gpu
from unichunk.runtime.policy.engines.cuda_driver import CudaDriver
from unichunk.runtime.policy.engines.onnx_session import CPU_PROVIDER, open_session
from unichunk.runtime.policy.engines.onnx_surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.policy.engines.graph_file import GraphFile

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
NO_CAPTURE = "This session cannot use the graph capture feature as requested by the user as the model has Memcpy nodes"


class Session:
    """A session on the CPU that says it is on a GPU."""

    def __init__(self, session: Any, providers: list[str]) -> None:
        self._session = session
        self._providers = providers

    def get_providers(self) -> list[str]:
        return self._providers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@dataclass
class Machine:
    """A machine with two GPUs, and what goes wrong on it."""

    opened: list[list[tuple[str, dict[str, str]]]] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    left_out: tuple[str, ...] = ()
    missing: str | None = None
    cannot_record: bool = False
    fails: Exception | None = None
    refuses_engines: int = 0

    def open(self, file: GraphFile, providers: Sequence[tuple[str, Any]], threads: int = 1) -> Session:
        chosen = dict(providers)
        self.opened.append(list(providers))
        if self.fails is not None:
            raise self.fails
        recorded = {
            chosen.get(CUDA, {}).get("enable_cuda_graph"),
            chosen.get(TENSORRT, {}).get("trt_cuda_graph_enable"),
        }
        if self.cannot_record and "1" in recorded:
            raise ort.Fail(NO_CAPTURE)
        if TENSORRT in chosen:
            self._build(file, Path(chosen[TENSORRT]["trt_engine_cache_path"]))
        session = open_session(file, [(CPU_PROVIDER, {})])
        return Session(session, [name for name in chosen if name not in self.left_out])

    def _build(self, file: GraphFile, folder: Path) -> None:
        """As the TensorRT provider: read the engine if there is one, else build and write it."""
        engine = folder / "TensorrtExecutionProvider_TRTKernel_graph_0_sm90.engine"
        if not engine.exists():
            engine.write_bytes(b"engine")
            (folder / "TensorrtExecutionProvider_cache_sm90.timing").write_bytes(b"timings")
            self.built.append(file.path.name)
        elif self.refuses_engines:
            self.refuses_engines -= 1
            raise ort.EPFail("TensorRT EP could not deserialize engine from cache: " + str(engine))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    driver = CudaDriver(FakeDriver())
    found = Surroundings("1.31.1", (TENSORRT, CUDA, CPU_PROVIDER), "13.0", {}, 13000, "580.1", driver.gpus)
    monkeypatch.setattr(onnx_gpu, "open_session", machine.open)
    monkeypatch.setattr(onnx_gpu, "surroundings", lambda: found)
    monkeypatch.setattr(onnx_gpu, "cuda_driver", lambda: driver)
    monkeypatch.setattr(onnx_gpu, "missing_library", lambda provider: machine.missing)
    monkeypatch.setattr(onnx_gpu, "tensorrt_version", lambda: "10.13.2")
    monkeypatch.setattr(onnx_gpu, "CudaDevice", lambda driver, number: OneThread())
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    return machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("gpu") / "tiny")


@pytest.fixture
def cuda() -> EngineOptions:
    return EngineOptions(name="onnxruntime-cuda")


@pytest.fixture
def tensorrt(tmp_path: Path) -> EngineOptions:
    return EngineOptions(name="onnxruntime-tensorrt", cache=tmp_path / "cache", device=1)


def test_cuda(machine: Machine, folder: Path, cuda: EngineOptions) -> None:
    policy = Policy.load(folder, engine=cuda)
    assert [[name for name, _ in providers] for providers in machine.opened] == [[CUDA], [CUDA]]
    assert all(providers[0][1]["enable_cuda_graph"] == "1" for providers in machine.opened)
    expected = Policy.load(folder).infer(policy.example_observation()).unified
    np.testing.assert_array_equal(policy.infer(policy.example_observation()).unified, expected)


def test_without_cuda_graphs(machine: Machine, folder: Path) -> None:
    Policy.load(folder, engine=EngineOptions(name="onnxruntime-cuda", cuda_graphs=False))
    assert [providers[0][1]["enable_cuda_graph"] for providers in machine.opened] == ["0", "0"]


def test_tensorrt_engines_are_built_once(machine: Machine, folder: Path, tensorrt: EngineOptions) -> None:
    Policy.load(folder, engine=tensorrt)
    assert machine.built == ["prefix.onnx", "chunk.onnx"]
    Policy.load(folder, engine=tensorrt)
    assert machine.built == ["prefix.onnx", "chunk.onnx"]
    assert [name for name, _ in machine.opened[-1]] == [TENSORRT, CUDA], "CUDA for what TensorRT cannot compute"
    assert {part["device_id"] for _, part in machine.opened[-1]} == {"1"}
    Policy.load(folder, engine=tensorrt, refinement_rounds=1)
    assert machine.built == ["prefix.onnx", "chunk.onnx", "chunk_1.onnx"]


def test_an_engine_of_another_device_is_another_engine(
    machine: Machine, folder: Path, tensorrt: EngineOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    Policy.load(folder, engine=tensorrt)
    Policy.load(folder, engine=EngineOptions(name="onnxruntime-tensorrt", cache=tensorrt.cache, device=0))
    assert len(machine.built) == 4
    assert capsys.readouterr().err == ""


def test_a_corrupt_engine_is_built_again(
    machine: Machine, folder: Path, tensorrt: EngineOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    Policy.load(folder, engine=tensorrt)
    assert tensorrt.cache is not None
    engine = sorted(tensorrt.cache.glob("*/*.engine"))[0]
    engine.write_bytes(b"other!")
    Policy.load(folder, engine=tensorrt)
    assert len(machine.built) == 3
    assert engine.read_bytes() == b"engine"
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{engine.name} was changed or damaged; this engine is built again" in line


def test_an_engine_that_tensorrt_refuses_is_built_again(
    machine: Machine, folder: Path, tensorrt: EngineOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    Policy.load(folder, engine=tensorrt)
    machine.refuses_engines = 1
    Policy.load(folder, engine=tensorrt)
    assert len(machine.built) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "ONNX Runtime cannot use it (TensorRT EP could not deserialize engine" in line


def test_an_engine_that_tensorrt_refuses_again_and_again(
    machine: Machine, folder: Path, tensorrt: EngineOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.refuses_engines = 9
    with refused(EngineError, "prefix.onnx", "cannot prepare it for Fake 2", "could not deserialize engine"):
        Policy.load(folder, engine=tensorrt)
    assert len(machine.built) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("engine", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_a_graph_that_cannot_be_recorded_runs_without(
    machine: Machine, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: Any
) -> None:
    machine.cannot_record = True
    policy = Policy.load(folder, engine=EngineOptions(name=engine, cache=tmp_path))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "prefix.onnx: not recorded as a CUDA graph, and slower for it: This session cannot" in lines[0]
    assert policy.infer(policy.example_observation())


@pytest.mark.parametrize("fails", [None, RuntimeError("Please install TensorRT libraries as mentioned")])
def test_a_provider_whose_libraries_are_missing(
    machine: Machine, folder: Path, cuda: EngineOptions, tensorrt: EngineOptions, fails: Exception | None
) -> None:
    machine.missing = "libcublasLt.so.13: cannot open shared object file: No such file or directory"
    machine.left_out = (CUDA, TENSORRT)
    machine.fails = fails
    with refused(
        EngineError, "--engine onnxruntime-cuda: CUDAExecutionProvider", "libcublasLt.so.13", "onnxruntime-gpu["
    ):
        Policy.load(folder, engine=cuda)
    with refused(EngineError, "TensorrtExecutionProvider cannot be loaded", "cuDNN and TensorRT", "tensorrt"):
        Policy.load(folder, engine=tensorrt)
    assert tensorrt.cache is not None
    assert list(tensorrt.cache.glob("[0-9a-f]*")) == []


def test_a_provider_that_is_left_out_without_a_word(machine: Machine, folder: Path, cuda: EngineOptions) -> None:
    machine.left_out = (CUDA,)
    with refused(EngineError, "CUDAExecutionProvider cannot be loaded: ONNX Runtime does not say why"):
        Policy.load(folder, engine=cuda)


def test_out_of_memory_while_loading(machine: Machine, folder: Path, cuda: EngineOptions) -> None:
    machine.fails = ort.RuntimeException("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc(&p, size)")
    with refused(EngineError, "prefix.onnx: out of memory", "--gpu-memory"):
        Policy.load(folder, engine=cuda)


def test_a_precision_that_the_gpu_has_not(machine: Machine, folder: Path, cuda: EngineOptions) -> None:
    machine.fails = ort.NotImplemented("Could not find an implementation for MatMul(13)")
    with refused(BundleError, "cannot compute it in fp32 on Fake 1", "MatMul(13)"):
        Policy.load(folder, engine=cuda)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_does_not_shorten_float32(
    machine: Machine, folder: Path, tensorrt: EngineOptions, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    import os
    import shutil

    from tests.policy.damage import set_value

    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    bundle = Path(shutil.copytree(folder, Path(str(tensorrt.cache)).parent / precision))
    set_value(bundle, "precision", precision)
    Policy.load(bundle, engine=tensorrt)
    assert os.environ.pop("NVIDIA_TF32_OVERRIDE", None) == ("0" if precision == "fp32" else None)


@pytest.mark.parametrize("engine", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_this_machine_says_what_it_lacks(folder: Path, engine: Any) -> None:
    from unichunk.runtime.policy.engines.availability import engine_statuses

    status = next(one for one in engine_statuses() if one.name == engine)
    if status.available:
        pytest.skip(f"it lacks nothing: {status.detail}")
    with refused(EngineError, f"--engine {engine}: {status.detail[:60]}"):
        Policy.load(folder, engine=EngineOptions(name=engine))
