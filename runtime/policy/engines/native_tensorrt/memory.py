"""Memory of the device, page-locked memory of the host, and streams: each is given back with its holder."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.policy.engines.native_tensorrt.cuda import CudaFault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice


class DeviceMemory:
    """Memory of the device.

    Args:
        device: Which.
        size: [B].
        what: What for, in case there is none left.

    Attributes:
        address: Its beginning, aligned to at least 256 bytes.
        size: [B].

    Raises:
        EngineError: There is none left.
    """

    def __init__(self, device: CudaDevice, size: int, what: str) -> None:
        self.size = size
        try:
            self.address = int(device.cuda("cudaMalloc", size))
        except CudaFault as fault:
            if fault.out_of_memory:
                raise device.out_of_memory(what, size) from None
            raise
        _give_back(self, device, "cudaFree", self.address)


class PinnedMemory:
    """Page-locked memory of the host, which the device copies from and to by itself.

    Args:
        device: Which.
        size: [B].

    Attributes:
        address: Its beginning.
        bytes: The memory, shape (size,), uint8; not to be used when this object is gone.
    """

    def __init__(self, device: CudaDevice, size: int) -> None:
        self.address = int(device.cuda("cudaMallocHost", size))
        self.bytes: NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.address))
        _give_back(self, device, "cudaFreeHost", self.address)


class Stream:
    """A queue of work for the device, which waits for no other queue.

    Args:
        device: Which.

    Attributes:
        handle: As CUDA knows it.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._cuda = device.cuda
        self.handle = device.cuda("cudaStreamCreateWithFlags", device.cuda.runtime.cudaStreamNonBlocking)
        _give_back(self, device, "cudaStreamDestroy", self.handle)

    def wait(self) -> None:
        """Until all that was queued is done; other threads of Python run meanwhile."""
        self._cuda("cudaStreamSynchronize", self.handle)


def _give_back(holder: object, device: CudaDevice, call: str, resource: Any) -> None:
    """Give a resource back when its holder goes; what fails then, fails because the process ends."""
    weakref.finalize(holder, getattr(device.cuda.runtime, call), resource)
