"""Work for the device, recorded once and replayed as a whole: a CUDA graph."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from unichunk.runtime.policy.engines.native_tensorrt.cuda import CudaFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice
    from unichunk.runtime.policy.engines.native_tensorrt.memory import Stream


class Recording:
    """Work that was recorded: kernels, copies and their addresses are fixed. Use `Recording.of`.

    Args:
        device: Where it runs.
        graph: The executable graph, a `cudaGraphExec_t`.
    """

    def __init__(self, device: CudaDevice, graph: object) -> None:
        self._cuda = device.cuda
        self._graph = graph
        weakref.finalize(self, device.cuda.runtime.cudaGraphExecDestroy, graph)

    @classmethod
    def of(cls, device: CudaDevice, stream: Stream, queue: Callable[[], None]) -> Recording:
        """Record what a function queues; nothing of it is done.

        Args:
            device: Where it runs.
            stream: Where the function queues it.
            queue: The function. It must not wait for the device or ask for memory.

        Raises:
            CudaFault: It did one of these, or what it queued cannot be recorded.
            EngineError: As the function does.
        """
        cuda, runtime = device.cuda, device.cuda.runtime
        # Other threads may ask for memory meanwhile; only this one must not.
        cuda("cudaStreamBeginCapture", stream.handle, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            queue()
        except BaseException:
            _abandon(device, stream)
            raise
        try:
            graph = cuda("cudaStreamEndCapture", stream.handle)
        except CudaFault:
            # The error must not be found by whoever asks for the last one.
            runtime.cudaGetLastError()
            raise
        try:
            return cls(device, cuda("cudaGraphInstantiate", graph, 0))
        finally:
            runtime.cudaGraphDestroy(graph)

    def queue(self, stream: Stream) -> None:
        """Have it all done once more."""
        self._cuda("cudaGraphLaunch", self._graph, stream.handle)


def _abandon(device: CudaDevice, stream: Stream) -> None:
    """End a capture that came to nothing, so that the stream works again."""
    with suppress(CudaFault):
        graph = device.cuda("cudaStreamEndCapture", stream.handle)
        device.cuda.runtime.cudaGraphDestroy(graph)
    device.cuda.runtime.cudaGetLastError()
