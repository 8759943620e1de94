"""NVIDIA's driver, as its library `libcuda.so.1` has it: whether it is there, its devices, page-locked memory.

Asked before ONNX Runtime loads anything, for which a driver that is missing is a reason to compute on the CPU in
silence. Functions and constants are those of the CUDA Driver API.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LIBRARY: Final = "libcuda.so.1"

_CAPABILITY: Final = (75, 76)
"""`CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR`."""
_BLOCKING_SYNC: Final = 4
"""`CU_CTX_SCHED_BLOCKING_SYNC`."""
_PORTABLE: Final = 1
"""`CU_MEMHOSTREGISTER_PORTABLE`."""
_PAGE: Final = 4096
_RELEASE: Final = Path("/sys/module/nvidia/version")


@dataclass(frozen=True)
class Gpu:
    """A device.

    Attributes:
        name: As the driver calls it.
        capability: Compute capability.
        memory: [B].
    """

    name: str
    capability: tuple[int, int]
    memory: int


class CudaDriver:
    """The driver.

    Args:
        library: `libcuda.so.1`, loaded.

    Attributes:
        cuda: Latest CUDA that it has, such as 13000 for 13.0.
        release: Of the driver itself, such as 580.65.06; where nobody says, its CUDA.
        gpus: Devices that this process sees.

    Raises:
        EngineError: It does not start.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._contexts: dict[int, ctypes.c_void_p] = {}
        self._call("cuInit", 0)
        self.cuda = self._number("cuDriverGetVersion")
        self.release = str(self.cuda)
        with suppress(OSError):
            self.release = _RELEASE.read_text(encoding="ascii").strip()
        self.gpus = tuple(self._gpu(number) for number in range(self._number("cuDeviceGetCount")))

    def free_memory(self, number: int) -> int:
        """Memory of a device that nobody has, [B]."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        with self._context(number):
            self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def wait_without_spinning(self, number: int) -> None:
        """Have threads that wait for a device sleep: spinning, they would take a core from the control thread.

        For whoever uses the device in this process from now on.
        """
        self._call("cuDevicePrimaryCtxSetFlags_v2", self._number("cuDeviceGet", number), _BLOCKING_SYNC)

    def page_locked(self, shape: tuple[int, ...], dtype: Any, number: int) -> NDArray[Any]:
        """An array in pages that the device reads by itself; they stay locked as long as the process lives.

        Args:
            shape: Of the array.
            dtype: Of its elements.
            number: Of the device.
        """
        size = max(1, int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
        whole = -(-size // _PAGE) * _PAGE
        room = np.empty(whole + _PAGE, np.uint8)
        begin = -room.ctypes.data % _PAGE
        pages = room[begin : begin + whole]
        with self._context(number):
            self._call("cuMemHostRegister_v2", ctypes.c_void_p(pages.ctypes.data), ctypes.c_size_t(whole), _PORTABLE)
        # Pages that are given back to the system while a device knows them would be somebody else's.
        _LOCKED.append(room)
        content = pages[: size if 0 not in shape else 0]
        array: NDArray[Any] = content.view(dtype).reshape(shape)
        return array

    def _gpu(self, number: int) -> Gpu:
        device = self._number("cuDeviceGet", number)
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), device)
        memory = ctypes.c_size_t()
        self._call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        major, minor = (self._number("cuDeviceGetAttribute", attribute, device) for attribute in _CAPABILITY)
        return Gpu(name.value.decode(errors="replace"), (major, minor), memory.value)

    @contextmanager
    def _context(self, number: int) -> Iterator[None]:
        """The device's primary context, the one that CUDA's runtime uses, for the calling thread."""
        if number not in self._contexts:
            # Kept: given back, it would take the page-locked memory with it.
            context = self._contexts[number] = ctypes.c_void_p()
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._number("cuDeviceGet", number))
        self._call("cuCtxPushCurrent_v2", self._contexts[number])
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def _number(self, function: str, *arguments: Any) -> int:
        """What a function writes to its first argument."""
        value = ctypes.c_int()
        self._call(function, ctypes.byref(value), *arguments)
        return value.value

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            name = ctypes.c_char_p()
            self._library.cuGetErrorName(code, ctypes.byref(name))
            raise EngineError(f"{function} of the NVIDIA driver failed: {(name.value or b'').decode()} ({code})")


_LOCKED: Final[list[NDArray[Any]]] = []


@cache
def cuda_driver() -> CudaDriver | None:
    """The driver of this machine; None where there is none.

    Raises:
        EngineError: It is there and does not start.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    return CudaDriver(library)
