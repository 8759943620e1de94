"""What takes turns: engines, on a GPU each with recorded CUDA graphs and without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from unichunk.runtime.policy.engines.choice import build_engine
from unichunk.runtime.policy.engines.onnx_bound import BoundOnnxRuntimeEngine
from unichunk.runtime.policy.engines.onnx_device import HostDevice
from unichunk.runtime.policy.engines.onnx_errors import ORT_ERRORS, load_complaint
from unichunk.runtime.policy.engines.onnx_session import CPU_PROVIDER, open_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.runtime.policy.engines.contract import Engine
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.options import EngineOptions

ArmName = Literal["onnxruntime", "onnxruntime-bound", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt"]
"""The engines of the runtime, and ONNX Runtime on the CPU with the inputs and outputs bound as on a GPU."""

ARMS: Final[tuple[ArmName, ...]] = get_args(ArmName)
ON_CPU: Final = ("onnxruntime", "onnxruntime-bound")


@dataclass(frozen=True)
class Arm:
    """One way of running the graphs.

    Attributes:
        name: The engine.
        cuda_graphs: Whether its work is recorded and replayed; None where there is nothing to record.
    """

    name: ArmName
    cuda_graphs: bool | None = None

    @property
    def label(self) -> str:
        """As tables show it."""
        return f"{self.name}, {'CUDA graphs' if self.cuda_graphs else 'no CUDA graphs'}" if self.on_gpu else self.name

    @property
    def on_gpu(self) -> bool:
        """Whether it takes a GPU."""
        return self.name not in ON_CPU

    def engine(self, file: GraphFile, options: EngineOptions) -> Engine:
        """The engine of a graph.

        Args:
            file: The graph.
            options: Threads, device, cache; the engine's name is this arm's.

        Raises:
            BundleError: The engine does not take the graph.
            EngineError: It is not there, or has no device or memory.
        """
        if self.name == "onnxruntime-bound":
            try:
                session = open_session(file, [(CPU_PROVIDER, {})], options.threads)
            except ORT_ERRORS as error:
                raise load_complaint(file, error, "this CPU") from None
            return BoundOnnxRuntimeEngine(file, session, HostDevice())
        return build_engine(file, replace(options, name=self.name, cuda_graphs=bool(self.cuda_graphs)))


def arms_of(names: Iterable[ArmName]) -> list[Arm]:
    """The arms of some engines: those on a GPU come twice."""
    return [
        Arm(name, recorded)
        for name in dict.fromkeys(names)
        for recorded in ((None,) if name in ON_CPU else (True, False))
    ]
