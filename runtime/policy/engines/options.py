"""Which engine runs a bundle's graphs, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

EngineName = Literal["onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt"]

ENGINES: Final[tuple[EngineName, ...]] = ("onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt")
"""ONNX Runtime on the CPU, with its CUDA and with its TensorRT execution provider; TensorRT itself."""


@dataclass(frozen=True)
class EngineOptions:
    """Which engine runs a bundle's graphs, and how.

    Attributes:
        name: The engine.
        threads: Threads inside one operator, on the CPU.
        device: Number of the GPU.
        cuda_graphs: Whether each graph is recorded once and replayed as a whole, on a GPU.
        cache: Folder of built engines and timings; None for the user's cache folder.
        memory_gib: Most memory of the GPU that one engine may take, [GiB], with TensorRT besides its weights; None for
            no limit.
    """

    name: EngineName = "onnxruntime"
    threads: int = 1
    device: int = 0
    cuda_graphs: bool = True
    cache: Path | None = None
    memory_gib: float | None = None


CPU: Final = EngineOptions()
"""ONNX Runtime on one thread: the default, and the reference."""

BUILD_S: Final = 3600.0
"""How long a policy may take to load where its engines are built first, [s]: TensorRT tries out every operator."""
