# ruff: noqa: N801, N802, N815  (the real API's names)
"""A stand-in for `cuda.bindings.runtime`: CUDA's runtime on a machine without a GPU, for tests. Nothing here is fast.

It keeps the rules that matter. Device memory has addresses that the host cannot read. Work in a stream is done when
somebody waits for it, not before, so who reads too early reads rubbish. Work in a stream that is being captured is
recorded only. What the real API refuses is refused with its error code; what is undefined there raises `Misuse`.
Names, arguments and results are those of cuda-bindings 12.9 and 13.5.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

RUBBISH = 0xA5
"""What new memory holds."""


class Misuse(AssertionError):
    """Something that the real API takes, with results that are not defined."""


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInvalidMemcpyDirection = 21
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidDevice = 101
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalState = 401
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToHost = 0
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2
    cudaMemcpyDeviceToDevice = 3


class cudaStreamCaptureMode(enum.IntEnum):
    cudaStreamCaptureModeGlobal = 0
    cudaStreamCaptureModeThreadLocal = 1
    cudaStreamCaptureModeRelaxed = 2


@dataclass
class DeviceProperties:
    name: bytes
    major: int
    minor: int


@dataclass
class Stream:
    """`cudaStream_t`: an integer to whoever asks."""

    number: int
    pending: list[Callable[[], None]] = field(default_factory=list)
    captured: list[Callable[[], None]] | None = None
    invalidated: bool = False

    def __int__(self) -> int:
        return self.number

    def __index__(self) -> int:
        return self.number


@dataclass
class Graph:
    """`cudaGraph_t` and `cudaGraphExec_t`."""

    work: list[Callable[[], None]]
    alive: bool = True


OK = cudaError_t.cudaSuccess
INVALID = cudaError_t.cudaErrorInvalidValue


class CudaStandIn:
    """The state behind the module, which tests look at and change.

    Attributes:
        devices: Their properties; none: no device is there.
        driver, version: CUDA of the driver and of the bindings, as 1000 major + 10 minor.
        memory: Bytes of the device.
        failing: Function name -> error that its next calls give.
        calls: Names of all calls.
    """

    def __init__(self) -> None:
        self.devices = [DeviceProperties(b"Stand-in (no GPU)", 9, 0)]
        self.driver, self.version = 12040, 12090
        self.memory = 1 << 30
        self.failing: dict[str, cudaError_t] = {}
        self.calls: list[str] = []
        self.streams: dict[int, Stream] = {}
        self.graphs: list[Graph] = []
        self.device_memory: dict[int, np.ndarray] = {}
        self.pinned: dict[int, np.ndarray] = {}
        self.fault = OK
        self._number = itertools.count(0x51)
        self._address = 0x7F00_0000_0000

    # What the TensorRT stand-in needs

    def put(self, stream: int, work: Callable[[], None]) -> bool:
        """Queue work, or record it; False where there is no such stream."""
        queue = self.streams.get(int(stream))
        if queue is None:
            return False
        (queue.pending if queue.captured is None else queue.captured).append(work)
        return True

    def capturing(self, stream: int) -> bool:
        return self.streams[int(stream)].captured is not None

    def invalidate(self, stream: int) -> None:
        self.streams[int(stream)].invalidated = True

    def device_bytes(self, address: int, size: int) -> np.ndarray:
        """Memory of the device, when work is done."""
        for start, content in self.device_memory.items():
            if start <= address and address + size <= start + len(content):
                return content[address - start : address - start + size]
        raise IllegalAddress

    @property
    def in_use(self) -> dict[str, int]:
        """What was asked for and not given back."""
        return {
            "device": len(self.device_memory),
            "pinned": len(self.pinned),
            "streams": len(self.streams),
            "graphs": sum(graph.alive for graph in self.graphs),
        }

    def module(self) -> ModuleType:
        """The module."""
        module = ModuleType("cuda.bindings.runtime")
        for kind in (cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode):
            setattr(module, kind.__name__, kind)
        module.cudaStreamNonBlocking = 1  # type: ignore[attr-defined]
        module.cudaDeviceScheduleBlockingSync = 4  # type: ignore[attr-defined]
        for name in dir(self):
            if name.startswith("cuda"):
                setattr(module, name, self._counted(name, getattr(self, name)))
        return module

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.failing:
                if name == "cudaStreamEndCapture":
                    # A capture ends however that call does.
                    arguments[0].captured = None
                return (self.failing[name], None)
            result = function(*arguments)
            return result if isinstance(result, tuple) else (result,)

        return call

    # Devices

    def cudaDriverGetVersion(self) -> Any:
        return OK, self.driver

    def cudaRuntimeGetVersion(self) -> Any:
        return OK, self.version

    def cudaGetDeviceCount(self) -> Any:
        return (OK, len(self.devices)) if self.devices else (cudaError_t.cudaErrorNoDevice, None)

    def cudaSetDevice(self, number: int) -> Any:
        return OK if 0 <= number < len(self.devices) else cudaError_t.cudaErrorInvalidDevice

    def cudaSetDeviceFlags(self, flags: int) -> Any:
        return OK if flags == 4 else INVALID

    def cudaGetDeviceProperties(self, number: int) -> Any:
        return OK, self.devices[number]

    def cudaMemGetInfo(self) -> Any:
        return OK, self.memory - sum(map(len, self.device_memory.values())), self.memory

    def cudaGetLastError(self) -> Any:
        return OK

    # Memory

    def cudaMalloc(self, size: int) -> Any:
        if self._forbidden_in_capture():
            return cudaError_t.cudaErrorStreamCaptureUnsupported, None
        if size > self.cudaMemGetInfo()[1]:
            return cudaError_t.cudaErrorMemoryAllocation, None
        address, self._address = self._address, self._address + (size + 511) // 256 * 256
        self.device_memory[address] = np.full(size, RUBBISH, np.uint8)
        return OK, address

    def cudaFree(self, address: int) -> Any:
        self._finish_all()
        return OK if self.device_memory.pop(address, None) is not None else INVALID

    def cudaMallocHost(self, size: int) -> Any:
        if self._forbidden_in_capture():
            return cudaError_t.cudaErrorStreamCaptureUnsupported, None
        content = np.full(size, RUBBISH, np.uint8)
        self.pinned[content.ctypes.data] = content
        return OK, content.ctypes.data

    def cudaFreeHost(self, address: int) -> Any:
        self._finish_all()
        return OK if self.pinned.pop(address, None) is not None else INVALID

    def cudaMemcpy(self, target: int, source: int, size: int, kind: cudaMemcpyKind) -> Any:
        if self._forbidden_in_capture():
            return cudaError_t.cudaErrorStreamCaptureUnsupported
        try:
            content = self.device_bytes(source, size)
        except IllegalAddress:
            return INVALID
        if kind is not cudaMemcpyKind.cudaMemcpyDeviceToHost:
            raise Misuse("a copy that does not wait, in a stream for which no other waits")
        ctypes.memmove(target, content.ctypes.data, size)
        return OK

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: cudaMemcpyKind, stream: Stream) -> Any:
        if not isinstance(kind, cudaMemcpyKind):
            raise TypeError("a kind of copy is a cudaMemcpyKind")
        sides = {
            cudaMemcpyKind.cudaMemcpyHostToDevice: (self.device_bytes, self._pinned_bytes),
            cudaMemcpyKind.cudaMemcpyDeviceToHost: (self._pinned_bytes, self.device_bytes),
            cudaMemcpyKind.cudaMemcpyDeviceToDevice: (self.device_bytes, self.device_bytes),
        }[kind]

        def copy() -> None:
            sides[0](target, size)[:] = sides[1](source, size)

        try:
            sides[0](target, size), sides[1](source, size)
        except IllegalAddress:
            return INVALID
        return OK if self.put(stream, copy) else cudaError_t.cudaErrorInvalidResourceHandle

    def _pinned_bytes(self, address: int, size: int) -> np.ndarray:
        for start, content in self.pinned.items():
            if start <= address and address + size <= start + len(content):
                return content[address - start : address - start + size]
        raise Misuse(f"{address:#x}: a copy in a stream, from or to memory that is not page-locked or was given back")

    # Streams

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        stream = Stream(next(self._number))
        self.streams[stream.number] = stream
        return (OK, stream) if flags == 1 else (INVALID, None)

    def cudaStreamDestroy(self, stream: Stream) -> Any:
        if stream.number not in self.streams:
            return cudaError_t.cudaErrorInvalidResourceHandle
        self._finish(stream)
        del self.streams[stream.number]
        return OK

    def cudaStreamSynchronize(self, stream: Stream) -> Any:
        if stream.captured is not None:
            stream.invalidated = True
            return cudaError_t.cudaErrorStreamCaptureUnsupported
        self._finish(stream)
        # An illegal address stays for good: every call gives it until the process ends.
        return self.fault

    def _finish(self, stream: Stream) -> None:
        work, stream.pending = stream.pending, []
        for each in work:
            try:
                each()
            except IllegalAddress:
                self.fault = cudaError_t.cudaErrorIllegalAddress
                return

    def _finish_all(self) -> None:
        """What `cudaFree` does before it frees."""
        for stream in self.streams.values():
            self._finish(stream)

    # Capture

    def cudaStreamBeginCapture(self, stream: Stream, mode: cudaStreamCaptureMode) -> Any:
        if stream.captured is not None or not isinstance(mode, cudaStreamCaptureMode):
            return INVALID
        stream.captured, stream.invalidated = [], False
        return OK

    def cudaStreamEndCapture(self, stream: Stream) -> Any:
        if stream.captured is None:
            return INVALID, None
        work, stream.captured = stream.captured, None
        if stream.invalidated:
            stream.invalidated = False
            return cudaError_t.cudaErrorStreamCaptureInvalidated, None
        return OK, self._graph(work)

    def cudaGraphInstantiate(self, graph: Graph, flags: int) -> Any:
        if not graph.alive:
            return INVALID, None
        return (OK, self._graph([*graph.work])) if flags == 0 else (INVALID, None)

    def cudaGraphDestroy(self, graph: Graph) -> Any:
        alive, graph.alive = graph.alive, False
        return OK if alive else INVALID

    cudaGraphExecDestroy = cudaGraphDestroy

    def cudaGraphLaunch(self, graph: Graph, stream: Stream) -> Any:
        if not graph.alive:
            raise Misuse("a graph that was destroyed")
        for work in graph.work:
            self.put(stream, work)
        return OK

    def _graph(self, work: list[Callable[[], None]]) -> Graph:
        self.graphs.append(Graph(work))
        return self.graphs[-1]

    def _forbidden_in_capture(self) -> bool:
        """Asking for memory, and copies that wait, end a capture of the same thread."""
        for stream in self.streams.values():
            if stream.captured is not None:
                stream.invalidated = True
                return True
        return False


class IllegalAddress(Exception):
    """Work for the device with memory that is not there."""
