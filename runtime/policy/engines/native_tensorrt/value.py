"""What an engine gives: arrays on the host, or tensors that stay on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.native_tensorrt.memory import DeviceMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.native_tensorrt.bindings import Binding
    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice
    from unichunk.runtime.policy.engines.native_tensorrt.memory import Stream


@dataclass(frozen=True)
class HostValue:
    """An array of its own on the host."""

    array: NDArray[Any]

    def numpy(self) -> NDArray[Any]:
        """The array."""
        return self.array


@dataclass
class Runs:
    """How often an engine ran: what it gave before the last run is overwritten."""

    count: int = 0


@dataclass(frozen=True)
class DeviceValue:
    """A tensor on the device, which the next run of the engine that gave it overwrites.

    Attributes:
        device: Where it is.
        binding: What it is.
        memory: Where it is there.
        runs: Of the engine that gave it.
        run: The one that gave it.
    """

    device: CudaDevice
    binding: Binding
    memory: DeviceMemory
    runs: Runs
    run: int

    def address(self) -> int:
        """Where it begins.

        Raises:
            EngineError: It was overwritten since.
        """
        if self.runs.count != self.run:
            raise EngineError(
                f"`{self.binding.name}` of run {self.run} was overwritten by run {self.runs.count} of the same engine; "
                "use what a run gives before the next"
            )
        return self.memory.address

    def numpy(self) -> NDArray[Any]:
        """A copy on the host; bfloat16 as float32."""
        self.device.select()
        content = np.empty(self.binding.nbytes, np.uint8)
        kind = self.device.cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.device.cuda("cudaMemcpy", content.ctypes.data, self.address(), content.nbytes, kind)
        return self.binding.decoded(content)

    def kept(self, path: object, stream: Stream) -> DeviceValue:
        """A copy on the device that nothing overwrites.

        Args:
            path: Of the graph, for error messages.
            stream: Of the engine that gave this.
        """
        memory = DeviceMemory(self.device, self.binding.nbytes, f"{path}: a copy of `{self.binding.name}`")
        kind = self.device.cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        # Not `cudaMemcpy`: inside the device it does not wait, and this stream does not wait for it.
        self.device.cuda("cudaMemcpyAsync", memory.address, self.address(), memory.size, kind, stream.handle)
        stream.wait()
        return DeviceValue(self.device, self.binding, memory, Runs(), 0)
