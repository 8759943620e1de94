"""The stand-ins of CUDA and TensorRT are strict: code that breaks their rules does not pass its tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engines.cuda_stand_in import CudaStandIn, Misuse, cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode
from tests.engines.tensorrt_graphs import counter
from tests.engines.tensorrt_stand_in import stand_in
from unichunk.runtime.policy import EngineOptions
from unichunk.runtime.policy.engines.native_tensorrt.engine import TensorRTEngine

TO_DEVICE, TO_HOST = cudaMemcpyKind.cudaMemcpyHostToDevice, cudaMemcpyKind.cudaMemcpyDeviceToHost
MODE = cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal


@pytest.fixture
def cuda() -> CudaStandIn:
    return CudaStandIn()


def prepared(cuda: CudaStandIn) -> tuple[Any, int, int]:
    """A stream, device memory and page-locked memory of 16 bytes."""
    return cuda.cudaStreamCreateWithFlags(1)[1], cuda.cudaMalloc(16)[1], cuda.cudaMallocHost(16)[1]


def test_work_in_a_stream_is_done_when_somebody_waits(cuda):
    stream, device, pinned = prepared(cuda)
    cuda.pinned[pinned][:] = 7
    assert cuda.cudaMemcpyAsync(device, pinned, 16, TO_DEVICE, stream) == cudaError_t.cudaSuccess
    cuda.pinned[pinned][:] = 8
    assert set(cuda.device_memory[device]) == {0xA5}
    cuda.cudaStreamSynchronize(stream)
    # What the page-locked memory held when the copy was done, not when it was asked for.
    assert set(cuda.device_memory[device]) == {8}


def test_copies_in_a_stream_need_page_locked_memory(cuda):
    stream, device, _ = prepared(cuda)
    content = np.zeros(16, np.uint8)
    with pytest.raises(Misuse, match="not page-locked"):
        cuda.cudaMemcpyAsync(device, content.ctypes.data, 16, TO_DEVICE, stream)


def test_copies_beyond_the_end_or_the_other_way_round(cuda):
    stream, device, pinned = prepared(cuda)
    assert cuda.cudaMemcpyAsync(device + 8, pinned, 16, TO_DEVICE, stream) == cudaError_t.cudaErrorInvalidValue
    with pytest.raises(Misuse):
        cuda.cudaMemcpyAsync(device, pinned, 16, TO_HOST, stream)


def test_memory_that_was_given_back(cuda):
    stream, device, pinned = prepared(cuda)
    cuda.cudaStreamBeginCapture(stream, MODE)
    cuda.cudaMemcpyAsync(device, pinned, 16, TO_DEVICE, stream)
    graph = cuda.cudaStreamEndCapture(stream)[1]
    recording = cuda.cudaGraphInstantiate(graph, 0)[1]
    assert cuda.cudaFree(device) == cudaError_t.cudaSuccess
    assert cuda.cudaFree(device) == cudaError_t.cudaErrorInvalidValue
    cuda.cudaGraphLaunch(recording, stream)
    assert cuda.cudaStreamSynchronize(stream) == cudaError_t.cudaErrorIllegalAddress
    # And for good.
    assert cuda.cudaStreamSynchronize(stream) == cudaError_t.cudaErrorIllegalAddress


def test_waiting_and_asking_for_memory_end_a_capture(cuda):
    stream, device, _ = prepared(cuda)
    for forbidden in (
        lambda: cuda.cudaStreamSynchronize(stream),
        lambda: cuda.cudaMalloc(16)[0],
        lambda: cuda.cudaMallocHost(16)[0],
        lambda: cuda.cudaMemcpy(0, device, 16, TO_HOST),
    ):
        assert cuda.cudaStreamBeginCapture(stream, MODE) == cudaError_t.cudaSuccess
        assert forbidden() == cudaError_t.cudaErrorStreamCaptureUnsupported
        assert cuda.cudaStreamEndCapture(stream) == (cudaError_t.cudaErrorStreamCaptureInvalidated, None)


def test_a_recording_of_a_context_that_was_changed(monkeypatch, tmp_path):
    tensorrt = stand_in(monkeypatch)
    engine = TensorRTEngine(counter(tmp_path), EngineOptions(name="tensorrt", cache=tmp_path / "cache"))
    x = np.zeros(4, np.float32)
    for _ in range(3):
        engine.run({"count": x})
    engine._context.set_tensor_address("next", engine._outputs["next"].memory.address)
    with pytest.raises(Misuse, match="changed since"):
        engine.run({"count": x})
    assert tensorrt.executions == 3


def test_an_engine_without_an_address(monkeypatch, tmp_path):
    stand_in(monkeypatch)
    engine = TensorRTEngine(counter(tmp_path), EngineOptions(name="tensorrt", cache=tmp_path / "cache"))
    assert not engine._context.execute_async_v3(int(engine._stream.handle))
    assert "Address is not set for tensor count" in engine._log.take()
