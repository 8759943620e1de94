"""Where an engine's inputs come from and its outputs go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.policy.engines.native_tensorrt.memory import DeviceMemory, PinnedMemory
from unichunk.runtime.policy.engines.native_tensorrt.value import DeviceValue, HostValue, Runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value
    from unichunk.runtime.policy.engines.native_tensorrt.bindings import Binding
    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice


@dataclass(frozen=True)
class Feed:
    """Where an input is read, and where from it is brought there first; a recording holds for one set of these.

    Attributes:
        name: Of the input.
        address: Where the engine reads it.
        source: Address that it is copied from; None where it lies in place already.
        kind: Of the copy, a `cudaMemcpyKind`.
    """

    name: str
    address: int
    source: int | None = None
    kind: Any = None


class InputTensor:
    """An input. What it needs of memory is taken when it is first fed in a way that needs it.

    Args:
        device: Where the engine runs.
        binding: What it is.
        path: Of the graph, for error messages.
    """

    def __init__(self, device: CudaDevice, binding: Binding, path: object) -> None:
        self._device = device
        self.binding = binding
        self._path = path
        self._memory: DeviceMemory | None = None
        self._pinned: PinnedMemory | None = None

    def feed(self, given: NDArray[Any] | Value, runs: Runs) -> Feed:
        """Make it ready for a run.

        Args:
            given: An array, or what an engine gave.
            runs: Of the engine whose input this is.

        Raises:
            EngineError: The value was overwritten, or there is no memory left.
            ValueError: Another shape or type.
        """
        if isinstance(given, DeviceValue) and given.device.number == self._device.number:
            return self._from_device(given, runs)
        values = given if isinstance(given, np.ndarray) else given.numpy()
        content = self.binding.encoded(np.asarray(values))
        if self._pinned is None:
            self._pinned = PinnedMemory(self._device, self.binding.nbytes)
        self._pinned.bytes[:] = content
        kind = self._device.cuda.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        return Feed(self.binding.name, self._own_memory().address, self._pinned.address, kind)

    def _from_device(self, value: DeviceValue, runs: Runs) -> Feed:
        wanted, has = self.binding, value.binding
        if (has.shape, has.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"input `{wanted.name}`: expected {wanted.shape} {wanted.dtype}, got {has.shape} {has.dtype}"
            )
        if value.runs is not runs:
            return Feed(wanted.name, value.address())
        # An engine that reads what it wrote in its last run would write over it while it reads.
        kind = self._device.cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        return Feed(wanted.name, self._own_memory().address, value.address(), kind)

    def _own_memory(self) -> DeviceMemory:
        if self._memory is None:
            self._memory = DeviceMemory(self._device, self.binding.nbytes, f"{self._path}: input `{self.binding.name}`")
        return self._memory


class OutputTensor:
    """An output.

    Args:
        device: Where the engine runs.
        binding: What it is.
        path: Of the graph, for error messages.
        resident: Whether it stays on the device.

    Attributes:
        memory: Where the engine writes it.
        pinned: Where it is copied to; None where it stays.
    """

    def __init__(self, device: CudaDevice, binding: Binding, path: object, *, resident: bool) -> None:
        self._device = device
        self.binding = binding
        self.memory = DeviceMemory(device, binding.nbytes, f"{path}: output `{binding.name}`")
        self.pinned = None if resident else PinnedMemory(device, binding.nbytes)

    def value(self, runs: Runs) -> Value:
        """What the last run gave."""
        if self.pinned is None:
            return DeviceValue(self._device, self.binding, self.memory, runs, runs.count)
        return HostValue(self.binding.decoded(self.pinned.bytes))
