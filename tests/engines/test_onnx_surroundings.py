"""Why an execution provider cannot be used here, and what to do: every case has one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from tests.one_line import refused
from unichunk.runtime.errors import BundleError, EngineError, UnichunkError
from unichunk.runtime.policy import EngineOptions
from unichunk.runtime.policy.engines.availability import engine_statuses
from unichunk.runtime.policy.engines.cuda_driver import Gpu
from unichunk.runtime.policy.engines.graph_file import GraphFile
from unichunk.runtime.policy.engines.onnx_errors import is_no_capture, load_complaint, run_complaint
from unichunk.runtime.policy.engines.onnx_providers import cache_key, cuda_provider, tensorrt_provider
from unichunk.runtime.policy.engines.onnx_surroundings import Surroundings, provider_complaint, surroundings
from unichunk.runtime.policy.manifest import Graph

GPU = Gpu("NVIDIA H100 80GB HBM3", (9, 0), 80 << 30)
GOOD = Surroundings(
    version="1.31.1",
    providers=("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    cuda="13.0",
    packages={"onnxruntime-gpu": "1.31.1"},
    driver=13000,
    release="580.65.06",
    gpus=(GPU, Gpu("NVIDIA L4", (8, 9), 24 << 30)),
)
CPU_ONLY: dict[str, Any] = {"providers": ("CPUExecutionProvider",), "cuda": "", "packages": {"onnxruntime": "1.31.1"}}
FILE = GraphFile(
    Path("bundle/chunk.onnx"), Graph(file="chunk.onnx", inputs=(), outputs=()), "fp16", {"chunk.onnx": "a"}
)

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no provider": (CPU_ONLY, ("1.31.1 has no CUDAExecutionProvider (it has CPUExecutionProvider)", "pip install")),
    "both packages": (
        {**CPU_ONLY, "packages": {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}},
        ("onnxruntime and onnxruntime-gpu are both installed", "pip uninstall -y onnxruntime onnxruntime-gpu &&"),
    ),
    "too old": ({"version": "1.24.4"}, ("ONNX Runtime 1.24.4 is installed, expected 1.31 or newer", "pip install")),
    "no driver": ({"driver": None, "gpus": ()}, ("no NVIDIA driver (libcuda.so.1", "--gpus all")),
    "driver too old": (
        {"driver": 12080, "release": "570.86.15"},
        ("driver 570.86.15 has CUDA 12.8, this onnxruntime-gpu needs CUDA 13.0", "update the driver", "for CUDA 12"),
    ),
    "driver fails": (
        {"driver": None, "fault": "cuInit of the NVIDIA driver failed: CUDA_ERROR_UNKNOWN (999)"},
        ("CUDA_ERROR_UNKNOWN (999)", "restart"),
    ),
    "no GPU": ({"gpus": ()}, ("the NVIDIA driver sees no GPU", "CUDA_VISIBLE_DEVICES")),
}


@pytest.mark.parametrize("engine", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
@pytest.mark.parametrize(("change", "words"), CASES.values(), ids=CASES)
def test_what_keeps_a_provider_from_being_used(change: dict[str, Any], words: tuple[str, ...], engine: Any) -> None:
    options = EngineOptions(name=engine)
    assert provider_complaint(GOOD, options) is None
    complaint = provider_complaint(replace(GOOD, **change), options)
    assert complaint is not None
    assert "\n" not in complaint
    provider = "TensorrtExecutionProvider" if engine == "onnxruntime-tensorrt" else "CUDAExecutionProvider"
    for word in words:
        assert word.replace("CUDAExecutionProvider", provider) in complaint


def test_a_device_that_is_not_there() -> None:
    for number in (2, -1):
        complaint = provider_complaint(GOOD, EngineOptions(name="onnxruntime-cuda", device=number))
        assert complaint == f"--device {number}: expected one of 0: NVIDIA H100 80GB HBM3, 1: NVIDIA L4"
    assert provider_complaint(GOOD, EngineOptions(name="onnxruntime-cuda", device=1)) is None


@pytest.mark.parametrize("driver", [13000, 13010, 14000])
def test_drivers_of_the_same_or_a_newer_major_version_will_do(driver: int) -> None:
    built = replace(GOOD, driver=driver, cuda="13.2")
    assert provider_complaint(built, EngineOptions(name="onnxruntime-cuda")) is None


def test_this_machine() -> None:
    found = surroundings()
    assert found.version
    assert "CPUExecutionProvider" in found.providers
    statuses = engine_statuses()
    assert [status.name for status in statuses] == [
        "onnxruntime",
        "onnxruntime-cuda",
        "onnxruntime-tensorrt",
        "tensorrt",
    ]
    assert statuses[0].available
    assert all("\n" not in status.detail and len(status.detail) > 20 for status in statuses)
    assert [status.available for status in engine_statuses(found=replace(GOOD, driver=None))][1:3] == [False, False]


def test_options_of_the_providers() -> None:
    options = EngineOptions(name="onnxruntime-cuda", device=1, memory_gib=1.5)
    name, cuda = cuda_provider(options, cuda_graphs=True)
    assert name == "CUDAExecutionProvider"
    assert cuda["device_id"] == "1"
    assert cuda["enable_cuda_graph"] == "1"
    assert cuda["use_tf32"] == "0", "the bundle says what is computed in which precision"
    assert cuda["gpu_mem_limit"] == str(3 << 29)
    name, tensorrt = tensorrt_provider(options, Path("/cache/x"), cuda_graphs=False)
    assert name == "TensorrtExecutionProvider"
    assert tensorrt["trt_engine_cache_path"] == tensorrt["trt_timing_cache_path"] == "/cache/x"
    assert tensorrt["trt_cuda_graph_enable"] == "0"
    assert not {"trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable"} & set(tensorrt), "strongly typed"
    assert all(isinstance(value, str) for value in (cuda | tensorrt).values())
    assert "gpu_mem_limit" not in cuda_provider(EngineOptions(), cuda_graphs=True)[1]


VERSIONS = {"onnxruntime": "1.31.1", "tensorrt": "10.13.2", "cuda": "13.0", "driver": "580"}


def test_what_a_built_engine_depends_on() -> None:
    options = EngineOptions(name="onnxruntime-tensorrt")

    def key(
        file: GraphFile = FILE,
        options: EngineOptions = options,
        gpu: Gpu = GPU,
        versions: dict[str, str] = VERSIONS,
        *,
        cuda_graphs: bool = True,
    ) -> dict[str, str]:
        return cache_key(file, options, gpu, versions, cuda_graphs=cuda_graphs)

    assert key() == key(file=replace(FILE, path=Path("elsewhere/chunk.onnx")), options=replace(options, device=1))
    changed = [
        key(file=replace(FILE, hashes={"chunk.onnx": "b"})),
        key(file=replace(FILE, hashes={**FILE.hashes, "weights.bin": "a"})),
        key(options=replace(options, memory_gib=2.0)),
        key(gpu=replace(GPU, name="x")),
        key(gpu=replace(GPU, capability=(9, 1))),
        key(cuda_graphs=False),
        *(key(versions={**VERSIONS, name: "other"}) for name in VERSIONS),
    ]
    assert key() not in changed
    assert len({msgspec.json.encode(one) for one in changed}) == len(changed)


SAID: dict[str, tuple[type[UnichunkError], str, tuple[str, ...]]] = {
    "driver": (
        EngineError,
        "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:122 std::conditional_t<THRW, void, "
        "onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*) CUDA failure 35: CUDA driver version "
        "is insufficient for CUDA runtime version ; GPU=-1 ; hostname=c ; expr=cudaSetDevice(info_.device_id); \n",
        ("NVIDIA driver is too old", "update the driver"),
    ),
    "memory": (
        EngineError,
        "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
        ("bundle/chunk.onnx: out of memory;", "lower precision"),
    ),
    "arena": (
        EngineError,
        "[ONNXRuntimeError] : 1 : FAIL : Available memory of 1048576 is smaller than requested bytes of 2097152",
        ("out of memory (the next 2.0 MiB)", "raise the limit"),
    ),
    "cublas": (EngineError, "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", ("out of memory",)),
    "no device": (EngineError, "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1", ("nvidia-smi",)),
    "ordinal": (EngineError, "CUDA failure 101: invalid device ordinal ; GPU=7", ("--device",)),
    "kernels": (
        EngineError,
        "CUDA failure 209: no kernel image is available for execution on the device ; GPU=0",
        ("no code for this GPU",),
    ),
    "graph": (BundleError, "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Protobuf parsing failed.", ("not a graph",)),
}


@pytest.mark.parametrize(("error", "said", "words"), SAID.values(), ids=SAID)
def test_what_onnx_runtime_says_when_a_graph_is_loaded(
    error: type[UnichunkError], said: str, words: tuple[str, ...]
) -> None:
    with refused(error, "bundle/chunk.onnx", *words):
        raise load_complaint(FILE, ort.Fail(said), "an L4")


def test_a_precision_that_a_device_has_not() -> None:
    with refused(BundleError, "cannot compute it in fp16 on NVIDIA L4", "--precision fp32"):
        raise load_complaint(FILE, ort.NotImplemented("Could not find an implementation for MatMul(13)"), "NVIDIA L4")


def test_what_onnx_runtime_says_while_it_runs() -> None:
    with refused(EngineError, "bundle/chunk.onnx", "failed while it ran", "an illegal memory access"):
        raise run_complaint(FILE, RuntimeError("CUDA failure 700: an illegal memory access was encountered"))
    with refused(EngineError, "out of memory"):
        raise run_complaint(FILE, RuntimeError("CUDA failure 2: out of memory"))


def test_a_graph_that_cannot_be_recorded() -> None:
    said = (
        "[ONNXRuntimeError] : 1 : FAIL : This session cannot use the graph capture feature as requested by the user  "
        "as all compute graph nodes have not been partitioned to the CUDAExecutionProvider"
    )
    assert is_no_capture(ort.Fail(said))
    assert not is_no_capture(ort.Fail("CUDA failure 2: out of memory"))
