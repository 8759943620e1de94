"""Options of a command that loads policy bundles: what runs their graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations

from unichunk.runtime.policy.engines.options import BUILD_S, EngineName, EngineOptions
from unichunk.server.usage_error import UsageError


@dataclass(frozen=True)
class EngineFlags:
    """What runs a bundle's graphs, see `unichunk engines`."""

    engine: EngineName = "onnxruntime"
    """What runs the bundle's graphs: ONNX Runtime on the CPU, with its CUDA or its TensorRT execution provider, or
    TensorRT itself. `unichunk engines` says which of them can be used here."""
    device: int = 0
    """Number of the GPU."""
    cuda_graphs: bool = True
    """On a GPU: record each graph once, and replay it as a whole."""
    engine_cache: Path | None = None
    """Folder for built engines. Without it, UNICHUNK_ENGINE_CACHE, or ~/.cache/unichunk/engines."""
    gpu_memory: float | None = None
    """On a GPU: the most memory that one graph's engine may take, in GiB, with TensorRT besides its weights. Without
    it, as much as it likes."""

    def check(self, *, remote: bool = False) -> None:
        """Refuse what cannot be meant.

        Args:
            remote: Whether the policy is a server's.

        Raises:
            UsageError: One line.
        """
        given = self.arguments()
        if remote and given:
            raise UsageError(f"{given[0]}: a policy server has its own engine; give it to `unichunk serve`")
        if self.device < 0:
            raise UsageError(f"--device: expected 0 or more, got {self.device}")
        if self.gpu_memory is not None and not 0 < self.gpu_memory < math.inf:
            raise UsageError(f"--gpu-memory: expected more than 0 GiB, got {self.gpu_memory:g}")
        if self.engine == "onnxruntime" and given:
            raise UsageError(f"{given[0]}: --engine onnxruntime computes on the CPU; choose an engine for a GPU")

    def load_s(self, without_s: float) -> float:
        """How long a policy may take to load, [s].

        Args:
            without_s: Where no engine is built.
        """
        return without_s if self.engine == "onnxruntime" else BUILD_S

    def options(self, threads: int = 1) -> EngineOptions:
        """The same for a policy.

        Args:
            threads: Threads inside one operator, on the CPU.
        """
        return EngineOptions(
            name=self.engine,
            threads=threads,
            device=self.device,
            cuda_graphs=self.cuda_graphs,
            cache=self.engine_cache,
            memory_gib=self.gpu_memory,
        )

    def arguments(self) -> list[str]:
        """The same for another command line: what is not as it is without."""
        plain = EngineFlags()
        arguments = []
        if self.engine != plain.engine:
            arguments += ["--engine", self.engine]
        if self.device != plain.device:
            arguments += ["--device", str(self.device)]
        if not self.cuda_graphs:
            arguments += ["--no-cuda-graphs"]
        if self.engine_cache is not None:
            arguments += ["--engine-cache", str(self.engine_cache.absolute())]
        if self.gpu_memory is not None:
            arguments += ["--gpu-memory", str(self.gpu_memory)]
        return arguments
