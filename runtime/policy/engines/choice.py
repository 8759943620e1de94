"""The engine that somebody chose, for one graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.policy.engines.onnx_runtime import OnnxRuntimeEngine
from unichunk.runtime.policy.engines.options import CPU

if TYPE_CHECKING:
    from unichunk.runtime.policy.engines.contract import Engine
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.options import EngineOptions


def build_engine(file: GraphFile, options: EngineOptions) -> Engine:
    """Load or build the engine of a graph. Takes seconds to minutes: never while a robot moves.

    Args:
        file: The graph.
        options: Which engine, and how.

    Raises:
        BundleError: Where the file is no graph, or not the one that the bundle describes.
        EngineError: Where the engine, its device or the device's memory is not there.
    """
    # Only the chosen engine is imported: the others' packages may not be there.
    if options.name == "tensorrt":
        from unichunk.runtime.policy.engines.native_tensorrt.engine import TensorRTEngine  # noqa: PLC0415

        return TensorRTEngine(file, options)
    if options.name != CPU.name:
        from unichunk.runtime.policy.engines.onnx_gpu import gpu_engine  # noqa: PLC0415

        return gpu_engine(file, options)
    return OnnxRuntimeEngine(file.path, file.signature, precision=file.precision, threads=options.threads)
