"""Where ONNX Runtime computes, and the thread that it computes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.cuda_driver import CudaDriver

Result = TypeVar("Result")


class Device(Protocol):
    """Where ONNX Runtime computes."""

    @property
    def kind(self) -> str:
        """ONNX Runtime's name of the kind of device: `cpu` or `cuda`."""
        ...

    @property
    def number(self) -> int:
        """Which one."""
        ...

    def call(self, work: Callable[[], Result]) -> Result:
        """Do some work on the thread of this device."""
        ...

    def host_array(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array on the host that is fast to copy from."""
        ...


class HostDevice:
    """The processor itself, bound like a device: for tests, and to compare with."""

    kind = "cpu"
    number = 0

    def call(self, work: Callable[[], Result]) -> Result:
        """See `Device`; any thread will do."""
        return work()

    def host_array(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """See `Device`; all memory is the same."""
        return np.zeros(shape, dtype)


class CudaDevice:
    """A GPU.

    Everything is called on one thread: ONNX Runtime keeps a recorded CUDA graph with the thread that recorded it
    (`CUDAExecutionProvider::PerThreadContext`), and while one records, no other may call CUDA
    (`cudaStreamCaptureModeGlobal`). So what is warmed up when a policy is loaded is warm wherever it infers later.

    Args:
        driver: NVIDIA's.
        number: Of the device.
    """

    kind = "cuda"

    def __init__(self, driver: CudaDriver, number: int) -> None:
        self.number = number
        self._driver = driver
        self._thread = _thread(number)

    def call(self, work: Callable[[], Result]) -> Result:
        """See `Device`."""
        return self._thread.submit(work).result()

    def host_array(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """See `Device`; page-locked, so that the device reads it by itself."""
        return self._driver.page_locked(shape, dtype, self.number)


@cache
def _thread(number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, f"unichunk-cuda-{number}")
