"""NVIDIA's driver, asked through its library."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engines.fake_driver import NO_DEVICE, PAGE, FakeDriver
from tests.one_line import refused
from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.cuda_driver import CudaDriver, Gpu
from unichunk.runtime.policy.engines.onnx_device import CudaDevice


def test_devices() -> None:
    driver = CudaDriver(FakeDriver())
    assert driver.cuda == 13000
    assert driver.gpus == (Gpu("Fake 1", (9, 0), 80 << 30), Gpu("Fake 2", (8, 7), 32 << 30))
    assert [driver.free_memory(number) for number in (0, 1)] == [20 << 30, 8 << 30]
    assert driver.release


def test_a_driver_that_does_not_start() -> None:
    with refused(EngineError, "cuInit of the NVIDIA driver failed", "CUDA_ERROR_NO_DEVICE (100)"):
        CudaDriver(FakeDriver(starts=NO_DEVICE))
    with refused(EngineError, "cuInit of the NVIDIA driver failed", "(999)"):
        CudaDriver(FakeDriver(starts=999))


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 224, 224), (1, 1025), (0, 4)])
def test_page_locked_arrays(shape: tuple[int, ...], dtype: str) -> None:
    library = FakeDriver()
    driver = CudaDriver(library)
    arrays = [driver.page_locked(shape, dtype, 1) for _ in range(3)]
    assert len(library.locked) == 3
    for value, (array, (begin, size)) in enumerate(zip(arrays, library.locked, strict=True)):
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
        if array.size:
            assert begin <= array.ctypes.data
            assert array.ctypes.data + array.nbytes <= begin + size
        array[...] = value
    assert all((array == value).all() for value, array in enumerate(arrays))
    assert all(begin % PAGE == size % PAGE == 0 for begin, size in library.locked)
    assert library.retained == {1: 1}, "one context, kept: memory that it locked is unlocked with it"
    assert library.contexts == [], "the thread's own context is the current one again"


def test_threads_that_wait_sleep() -> None:
    library = FakeDriver()
    CudaDriver(library).wait_without_spinning(1)
    assert library.flags == {1: 4}


def test_a_device_has_one_thread() -> None:
    import threading

    driver = CudaDriver(FakeDriver())
    devices = [CudaDevice(driver, number) for number in (0, 0, 1)]
    threads = [device.call(threading.get_ident) for device in devices]
    assert threads[0] == threads[1] != threads[2]
    assert threading.get_ident() not in threads
    array = devices[2].call(lambda: devices[2].host_array((2, 3), "float32"))
    assert array.shape == (2, 3)
    with pytest.raises(ZeroDivisionError):
        devices[0].call(lambda: 1 // 0)
