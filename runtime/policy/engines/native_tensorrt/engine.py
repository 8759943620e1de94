"""A bundle's graph in TensorRT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.cache import say_on_stderr
from unichunk.runtime.policy.engines.native_tensorrt.bindings import binding_table
from unichunk.runtime.policy.engines.native_tensorrt.device import open_device
from unichunk.runtime.policy.engines.native_tensorrt.libraries import load_libraries
from unichunk.runtime.policy.engines.native_tensorrt.loading import load_engine
from unichunk.runtime.policy.engines.native_tensorrt.memory import Stream
from unichunk.runtime.policy.engines.native_tensorrt.messages import messages_of
from unichunk.runtime.policy.engines.native_tensorrt.recording import Recording
from unichunk.runtime.policy.engines.native_tensorrt.tensors import InputTensor, OutputTensor
from unichunk.runtime.policy.engines.native_tensorrt.value import DeviceValue, Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.native_tensorrt.tensors import Feed
    from unichunk.runtime.policy.engines.options import EngineOptions


class TensorRTEngine:
    """A graph in TensorRT, on a CUDA device.

    Inputs go through page-locked memory; what another engine on the same device gave is read where it lies. Outputs
    that other graphs read stay on the device until the next run, all others come to the host. The second run whose
    inputs are in the same places is recorded, copies included, and those after it replay the recording (a CUDA graph).

    Not for two threads at once; any thread may run it.

    Args:
        file: The graph.
        options: Device, memory, cache, whether to record.
        warn: Told, in one line, what goes on more slowly than asked for.

    Raises:
        BundleError: The file is no graph, not the one that the bundle describes, or of a precision that TensorRT does
            not have here.
        EngineError: TensorRT, the device or its memory is not there.
    """

    def __init__(self, file: GraphFile, options: EngineOptions, warn: Callable[[str], None] = say_on_stderr) -> None:
        libraries = load_libraries()
        self._path = file.path
        self._warn = warn
        self._log = messages_of(libraries.tensorrt)
        self._device = device = open_device(libraries.cuda, options.device)
        engine = load_engine(libraries.tensorrt, device, file, options)
        has = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
        self._inputs = {
            name: InputTensor(device, binding, file.path)
            for name, binding in binding_table(file.signature.inputs).items()
            if name in has
        }
        self._outputs = {
            name: OutputTensor(device, binding, file.path, resident=file.resident)
            for name, binding in binding_table(file.signature.outputs).items()
        }
        self._context = self._new_context(engine)
        self._stream = Stream(device)
        self._runs = Runs()
        self._feeds: tuple[Feed, ...] = ()
        self._recording: Recording | None = None
        self._records = options.cuda_graphs

    def run(self, inputs: Mapping[str, NDArray[Any] | Value]) -> dict[str, Value]:
        """Inputs by name -> outputs by name; inputs that the graph does not have are left out.

        Raises:
            EngineError: The device failed, or a value was overwritten before it was used.
            ValueError: An input of another shape or type.
        """
        self._device.select()
        feeds = tuple(tensor.feed(inputs[name], self._runs) for name, tensor in self._inputs.items())
        # From here on, what earlier runs left on the device is no more.
        self._runs.count += 1
        if self._recording is not None and feeds == self._feeds:
            self._recording.queue(self._stream)
            self._stream.wait()
            return self._values()
        moved = feeds != self._feeds
        if moved:
            self._arrange(feeds)
        self._queue()
        self._stream.wait()
        # Where inputs come from other places every time, recording is work for nothing.
        if not moved and self._records:
            self._record()
        return self._values()

    def kept(self, outputs: Mapping[str, Value]) -> dict[str, Value]:
        """Outputs of the last run, as they stay whatever runs next; what is on the device stays there, copied."""
        self._device.select()
        return {
            name: value.kept(self._path, self._stream) if isinstance(value, DeviceValue) else value
            for name, value in outputs.items()
        }

    @property
    def recorded(self) -> bool:
        """Whether the next run with inputs in the same places replays a recording."""
        return self._recording is not None

    def _values(self) -> dict[str, Value]:
        return {name: tensor.value(self._runs) for name, tensor in self._outputs.items()}

    def _new_context(self, engine: Any) -> Any:
        context = engine.create_execution_context()
        if context is None:
            raise self._device.out_of_memory(f"{self._path}: memory of its engine: {self._log.take()}")
        return context

    def _arrange(self, feeds: tuple[Feed, ...]) -> None:
        """Tell the engine where its tensors are; a recording of other places is worth nothing from then on."""
        self._recording = None
        self._feeds = ()
        places = {feed.name: feed.address for feed in feeds}
        places |= {name: tensor.memory.address for name, tensor in self._outputs.items()}
        for name, address in places.items():
            if not self._context.set_tensor_address(name, address):
                raise EngineError(f"{self._path}: TensorRT takes no address for `{name}`: {self._log.take()}")
        self._feeds = feeds

    def _queue(self) -> None:
        """All of a run: copies to the device, the engine, copies to the host."""
        cuda, handle = self._device.cuda, self._stream.handle
        for feed in self._feeds:
            if feed.source is not None:
                size = self._inputs[feed.name].binding.nbytes
                cuda("cudaMemcpyAsync", feed.address, feed.source, size, feed.kind, handle)
        if not self._context.execute_async_v3(int(handle)):
            raise EngineError(f"{self._path}: TensorRT did not run it: {self._log.take()}")
        kind = cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        for tensor in self._outputs.values():
            if tensor.pinned is not None:
                cuda(
                    "cudaMemcpyAsync", tensor.pinned.address, tensor.memory.address, tensor.binding.nbytes, kind, handle
                )

    def _record(self) -> None:
        """Record what was just done; TensorRT wants a run at the same addresses before, which settles its state."""
        try:
            self._recording = Recording.of(self._device, self._stream, self._queue)
        except EngineError as error:
            self._records = False
            self._warn(f"{self._path}: kernels are launched one by one, since no CUDA graph can be recorded: {error}")
