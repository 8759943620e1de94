"""Calls of CUDA's runtime with their error codes read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.native_tensorrt.complaints import MEMORY_ALLOCATION

if TYPE_CHECKING:
    from types import ModuleType


class CudaFault(EngineError):
    """A call of CUDA that failed.

    Args:
        call: Name of the function.
        code: Number of the `cudaError_t`.
        name: Name of it.

    Attributes:
        code: Number of the `cudaError_t`.
        name: Name of it.
    """

    def __init__(self, call: str, code: int, name: str) -> None:
        super().__init__(f"{call} failed with {name} ({code})")
        self.code = code
        self.name = name

    @property
    def out_of_memory(self) -> bool:
        """Whether the device has too little memory left."""
        return self.code == MEMORY_ALLOCATION


@dataclass(frozen=True)
class Cuda:
    """CUDA's runtime as cuda-python (`cuda.bindings.runtime`) has it: each function gives its error code first.

    Attributes:
        runtime: The module, for its constants and for calls whose errors do not matter.
    """

    runtime: ModuleType

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Call a function.

        Args:
            name: Of the function.
            *arguments: As the module takes them.

        Returns:
            What follows the error code: nothing, one value, or several.

        Raises:
            CudaFault: The error code is not `cudaSuccess`.
        """
        error, *results = getattr(self.runtime, name)(*arguments)
        code = int(error.value)
        if code:
            raise CudaFault(name, code, str(getattr(error, "name", error)))
        return results[0] if len(results) == 1 else tuple(results)
