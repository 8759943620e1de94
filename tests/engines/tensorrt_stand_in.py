"""A stand-in for TensorRT's Python module, for tests on machines without one. It is no TensorRT and measures nothing.

Graphs are executed by ONNX Runtime, on what the CUDA stand-in takes for the device's memory. Names, arguments, results
and refusals are those of TensorRT 10 (`python/src/infer/pyCore.cpp`, `python/src/parsers/pyOnnx.cpp`): a build gives
None where it fails, an enqueue False where an address is missing, both after a message to the logger. What the real
one leaves undefined raises `Misuse`: a recording that is replayed after its context was changed.
"""

from __future__ import annotations

import ctypes
import enum
import json
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from tests.engines.cuda_stand_in import CudaStandIn, Misuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

MAGIC = b"stand-in plan\n"


class DataType(enum.Enum):
    FLOAT = 1
    HALF = 10
    BF16 = 16
    INT64 = 7
    BOOL = 9


_BYTES = {DataType.FLOAT: 4, DataType.HALF: 2, DataType.BF16: 2, DataType.INT64: 8, DataType.BOOL: 1}


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class NetworkDefinitionCreationFlag(enum.IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class BuilderFlag(enum.Enum):
    TF32 = 0


class TensorIOMode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class TensorLocation(enum.Enum):
    DEVICE = 0
    HOST = 1


class ILogger:
    Severity = Severity

    def __init__(self) -> None:
        self.initialized = True


@dataclass
class ParserError:
    text: str

    def desc(self) -> str:
        return self.text


@dataclass
class NetworkTensor:
    name: str
    shape: tuple[int, ...]
    dtype: DataType


@dataclass
class Network:
    flags: int
    model: Any = None
    inputs: list[NetworkTensor] = field(default_factory=list)
    outputs: list[NetworkTensor] = field(default_factory=list)

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

    def get_input(self, index: int) -> NetworkTensor:
        return self.inputs[index]

    def get_output(self, index: int) -> NetworkTensor:
        return self.outputs[index]

    def unmark_output(self, tensor: NetworkTensor) -> None:
        self.outputs.remove(tensor)


class HostMemory(bytes):
    """`IHostMemory`: a buffer."""

    @property
    def nbytes(self) -> int:
        return len(self)


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> HostMemory:
        return HostMemory(self.content)


class BuilderConfig:
    def __init__(self) -> None:
        self.tf32 = True
        self.workspace: int | None = None
        self.timings: TimingCache | None = None

    def clear_flag(self, flag: BuilderFlag) -> None:
        assert flag is BuilderFlag.TF32
        self.tf32 = False

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        assert pool is MemoryPoolType.WORKSPACE
        assert pool_size > 0
        self.workspace = pool_size

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache:
        return TimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        if cache.content and not cache.content.startswith(b"timings") and not ignore_mismatch:
            return False
        self.timings = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self.timings


class Context:
    """`IExecutionContext`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._changes = 0
        self._ready = False

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine.tensors:
            self._engine.owner.error(f"IExecutionContext::setTensorAddress: no tensor {name}")
            return False
        self._addresses[name] = int(memory)
        self._changes += 1
        self._ready = False
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        owner, cuda = self._engine.owner, self._engine.owner.cuda
        for name in self._engine.tensors:
            if not self._addresses.get(name):
                owner.error(f"IExecutionContext::enqueueV3: Address is not set for tensor {name}.")
                return False
        self._engine.check_places(self._addresses)
        captured = cuda.capturing(stream_handle)
        if captured and (not self._ready or owner.never_records):
            cuda.invalidate(stream_handle)
            owner.error("IExecutionContext::enqueueV3: Cuda Runtime (operation not permitted when stream is capturing)")
            return False
        self._ready = True
        addresses, changes = dict(self._addresses), self._changes

        def work() -> None:
            if captured and changes != self._changes:
                raise Misuse("a recording of a context that was changed since")
            owner.executions += 1
            self._engine.execute(addresses)

        return cuda.put(stream_handle, work)


class Engine:
    """`ICudaEngine`: the graph in ONNX Runtime."""

    def __init__(self, owner: TensorRTStandIn, model: bytes, outputs: list[str]) -> None:
        self.owner = owner
        self.tensors: dict[str, NetworkTensor] = {}
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        graph = onnx.load_model_from_string(model).graph
        self._inputs = [_tensor(info) for info in graph.input]
        self._outputs = [tensor for tensor in map(_tensor, graph.output) if tensor.name in outputs]
        for tensor in (*self._inputs, *self._outputs):
            self.tensors[tensor.name] = tensor

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return [*self.tensors][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if self.tensors[name] in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.tensors[name].dtype

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation.HOST if name in self.owner.decides_shapes else TensorLocation.DEVICE

    def create_execution_context(self) -> Context | None:
        if self.owner.no_context:
            self.owner.error("Error Code 2: OutOfMemory (Requested size was 1073741824 bytes.)")
            return None
        return Context(self)

    def check_places(self, addresses: Mapping[str, int]) -> None:
        """No output lies where an input does: kernels read while others write."""
        inputs = {addresses[tensor.name] for tensor in self._inputs}
        if any(addresses[tensor.name] in inputs for tensor in self._outputs):
            raise Misuse("an output in the place of an input")

    def execute(self, addresses: Mapping[str, int]) -> None:
        """Read, compute and write what is at the addresses."""
        memory = self.owner.cuda.device_bytes
        values = {}
        for tensor in self._inputs:
            content = memory(addresses[tensor.name], _size(tensor)).copy()
            values[tensor.name] = _ort_value(content, tensor)
        results = self._session.run_with_ort_values([tensor.name for tensor in self._outputs], values)
        for tensor, result in zip(self._outputs, results, strict=True):
            memory(addresses[tensor.name], _size(tensor))[:] = _content(result, tensor)


class Builder:
    def __init__(self, owner: TensorRTStandIn) -> None:
        self._owner = owner

    def create_network(self, flags: int = 0) -> Network:
        if not flags & (1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED):
            raise Misuse("a network in which TensorRT chooses the types")
        return Network(flags)

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> HostMemory | None:
        owner = self._owner
        owner.configs.append(config)
        if owner.build_error is not None:
            owner.error(owner.build_error)
            return None
        if config.tf32:
            raise Misuse("float32 products in TensorFloat-32")
        if config.timings is not None:
            owner.began_with.append(config.timings.content)
            config.timings.content = (config.timings.content or b"timings") + b"+"
        owner.builds += 1
        head = json.dumps([owner.version, owner.device, [tensor.name for tensor in network.outputs]]).encode()
        return HostMemory(MAGIC + head + b"\n" + network.model.SerializeToString())


class OnnxParser:
    def __init__(self, owner: TensorRTStandIn, network: Network) -> None:
        self._owner = owner
        self._network = network
        self._errors: list[ParserError] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def parse_from_file(self, model: str) -> bool:
        try:
            loaded = onnx.load(model)
            onnx.checker.check_model(loaded)
        except Exception as error:  # noqa: BLE001
            self._errors.append(ParserError(f"Failed to parse the model: {error}"))
            return False
        for node in loaded.graph.node:
            complaint = _node_complaint(node, loaded)
            if complaint:
                self._errors.append(ParserError(complaint))
                return False
        self._network.model = loaded
        self._network.inputs = [_tensor(info) for info in loaded.graph.input]
        self._network.outputs = [_tensor(info) for info in loaded.graph.output]
        return True


class Runtime:
    def __init__(self, owner: TensorRTStandIn) -> None:
        self._owner = owner

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Engine | None:
        owner, content = self._owner, bytes(serialized_engine)
        if owner.load_errors:
            owner.error(owner.load_errors.pop(0))
            return None
        if not content.startswith(MAGIC):
            owner.error("IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Magic tag does not match)")
            return None
        head, _, model = content[len(MAGIC) :].partition(b"\n")
        version, device, outputs = json.loads(head)
        if (version, device) != (owner.version, owner.device):
            owner.error("IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Version tag does not match)")
            return None
        return Engine(owner, model, outputs)


class TensorRTStandIn:
    """The state behind the module, which tests look at and change.

    Attributes:
        cuda: The CUDA stand-in.
        version: `__version__`.
        builds, executions: How many.
        configs: Of the builds.
        began_with: Timings that the builds began with.
        build_error, load_errors: What goes wrong, with the message that TensorRT has for it.
        never_records: Its work cannot be captured.
        no_context: There is no memory for a context.
        decides_shapes: Tensors that it wants on the host.
    """

    def __init__(self, cuda: CudaStandIn) -> None:
        self.cuda = cuda
        self.version = "10.13.0"
        self.builds = self.executions = 0
        self.configs: list[BuilderConfig] = []
        self.began_with: list[bytes] = []
        self.build_error: str | None = None
        self.load_errors: list[str] = []
        self.never_records = self.no_context = False
        self.decides_shapes: set[str] = set()
        self._log: Any = None

    @property
    def device(self) -> str:
        return self.cuda.devices[0].name.decode()

    def error(self, text: str) -> None:
        assert self._log is not None
        self._log.log(Severity.ERROR, text)
        self._log.log(Severity.WARNING, "nothing that anybody should read")

    def module(self) -> ModuleType:
        """The module."""
        module: Any = ModuleType("tensorrt")
        module.__version__ = self.version
        for kind in (
            BuilderFlag,
            DataType,
            ILogger,
            MemoryPoolType,
            NetworkDefinitionCreationFlag,
            TensorIOMode,
            TensorLocation,
        ):
            setattr(module, kind.__name__, kind)
        module.Builder = lambda logger: Builder(self._with(logger))
        module.OnnxParser = lambda network, logger: OnnxParser(self._with(logger), network)
        module.Runtime = lambda logger: Runtime(self._with(logger))
        return module  # type: ignore[no-any-return]

    def _with(self, logger: ILogger) -> TensorRTStandIn:
        if not isinstance(logger, ILogger) or not logger.initialized:
            raise TypeError("a logger is an ILogger, which was initialized")
        if self._log is not None and logger is not self._log:
            raise Misuse("another logger than before")
        self._log = logger
        return self


def stand_in(monkeypatch: pytest.MonkeyPatch, version: str = "10.13.0") -> TensorRTStandIn:
    """Have `import tensorrt` and `import cuda.bindings.runtime` give stand-ins until the test ends."""
    cuda = CudaStandIn()
    tensorrt = TensorRTStandIn(cuda)
    tensorrt.version = version
    packages = {name: ModuleType(name) for name in ("cuda", "cuda.bindings")}
    packages |= {"cuda.bindings.runtime": cuda.module(), "tensorrt": tensorrt.module()}
    for name, module in packages.items():
        monkeypatch.setitem(sys.modules, name, module)
    return tensorrt


def _node_complaint(node: Any, model: Any) -> str:
    """What the real parser refuses of nodes that are valid ONNX; empty where nothing is known against it."""
    if node.domain:
        return f"No importer registered for op: {node.op_type}"
    factors = {part.name: part.f for part in node.attribute if part.name in {"alpha", "beta"}}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    if node.op_type == "Gemm" and types.get(node.input[1], 1) != 1 and set(factors.values()) - {1.0}:
        # `importGemm` multiplies with a constant of type FLOAT.
        return "ElementWiseOperation PROD must have same input types. But they are of types Float and Half."
    return ""


def _tensor(info: Any) -> NetworkTensor:
    kind = info.type.tensor_type
    names = {1: DataType.FLOAT, 10: DataType.HALF, 16: DataType.BF16, 7: DataType.INT64, 9: DataType.BOOL}
    return NetworkTensor(info.name, tuple(axis.dim_value for axis in kind.shape.dim), names[kind.elem_type])


def _size(tensor: NetworkTensor) -> int:
    return int(np.prod(tensor.shape, dtype=np.int64)) * _BYTES[tensor.dtype]


_NUMPY = {DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.INT64: np.int64, DataType.BOOL: np.bool_}


def _ort_value(content: np.ndarray, tensor: NetworkTensor) -> Any:
    if tensor.dtype is DataType.BF16:
        bits = content.view(np.uint16).reshape(tensor.shape)
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, onnx.TensorProto.BFLOAT16)
    return onnxruntime.OrtValue.ortvalue_from_numpy(content.view(_NUMPY[tensor.dtype]).reshape(tensor.shape))


def _content(value: Any, tensor: NetworkTensor) -> np.ndarray:
    """Bytes of a result, also of types that numpy does not have."""
    size = _size(tensor)
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(value.data_ptr())).copy()
