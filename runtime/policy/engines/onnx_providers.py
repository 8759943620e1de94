"""ONNX Runtime's execution providers for NVIDIA GPUs: what is asked of them. Nothing here asks a device.

Options are those of ONNX Runtime's documentation ("CUDA Execution Provider", "TensorRT Execution Provider").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.runtime.policy.engines.onnx_session import CPU_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unichunk.runtime.policy.engines.cuda_driver import Gpu
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.options import EngineName, EngineOptions

CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"

PROVIDER: Final[Mapping[EngineName, str]] = {
    "onnxruntime": CPU_PROVIDER,
    "onnxruntime-cuda": CUDA,
    "onnxruntime-tensorrt": TENSORRT,
}
"""Engine -> the execution provider that it is."""

Provider = tuple[str, dict[str, str]]


def cuda_provider(options: EngineOptions, *, cuda_graphs: bool) -> Provider:
    """The CUDA provider and its options.

    Args:
        options: Device and limit.
        cuda_graphs: Whether the graph shall be recorded.
    """
    chosen = {
        "device_id": str(options.device),
        # The bundle says what is computed in which precision: float32 is not shortened.
        "use_tf32": "0",
        # Trying out every convolution takes long, and another one may be chosen each time.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Memory grows by what is asked for, not by powers of two, which a small device has not.
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": str(int(cuda_graphs)),
    }
    if options.memory_gib is not None:
        chosen["gpu_mem_limit"] = str(int(options.memory_gib * 2**30))
    return CUDA, chosen


def tensorrt_provider(options: EngineOptions, folder: Path, *, cuda_graphs: bool) -> Provider:
    """The TensorRT provider and its options.

    Neither half precision nor int8 is enabled: then its networks are strongly typed, and compute in the graph's types.

    Args:
        options: Device and limit.
        folder: Where built engines and timings are, or shall be.
        cuda_graphs: Whether the graph shall be recorded.
    """
    chosen = {
        "device_id": str(options.device),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        "trt_cuda_graph_enable": str(int(cuda_graphs)),
    }
    if options.memory_gib is not None:
        chosen["trt_max_workspace_size"] = str(int(options.memory_gib * 2**30))
    return TENSORRT, chosen


def cache_key(
    file: GraphFile, options: EngineOptions, gpu: Gpu, versions: Mapping[str, str], *, cuda_graphs: bool
) -> dict[str, str]:
    """All that an engine that the TensorRT provider built depends on.

    Args:
        file: The graph.
        options: How it is built.
        gpu: For which device.
        versions: Of ONNX Runtime, TensorRT, CUDA, the driver.
        cuda_graphs: Whether it is recorded.
    """
    provider = tensorrt_provider(options, file.path.parent, cuda_graphs=cuda_graphs)[1]
    built_with = {name: value for name, value in provider.items() if not name.endswith("_path") and name != "device_id"}
    return {
        "engine": options.name,
        "device": gpu.name,
        "compute capability": ".".join(map(str, gpu.capability)),
        **{f"version of {name}": version for name, version in versions.items()},
        **{f"option {name}": value for name, value in built_with.items()},
        **{f"file {name}": digest for name, digest in file.hashes.items()},
    }
