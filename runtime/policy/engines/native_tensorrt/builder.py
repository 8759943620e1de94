"""A TensorRT plan from a bundle's ONNX file.

Names and behaviour are those of TensorRT's Python API, versions 10 and 11 (NVIDIA, TensorRT Python API Reference;
bindings in `python/src/infer/pyCore.cpp` and `python/src/parsers/pyOnnx.cpp` of NVIDIA/TensorRT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import BundleError, EngineError
from unichunk.runtime.policy.bundle import REMEDY
from unichunk.runtime.policy.engines.native_tensorrt.bindings import TYPES, binding_table, signature_complaint
from unichunk.runtime.policy.engines.native_tensorrt.complaints import about_memory
from unichunk.runtime.policy.engines.native_tensorrt.messages import messages_of

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.native_tensorrt.bindings import Described
    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice


@dataclass(frozen=True)
class Plan:
    """What a build gives.

    Attributes:
        content: The serialized engine, a buffer.
        timings: What the builder measured of kernels, a buffer; it makes later builds shorter.
    """

    content: Any
    timings: Any


def network_flags(version: str, tensorrt: ModuleType) -> int:
    """Bits for a network whose types are those of its graph.

    The bundle decides where float32 is kept (norms, softmax, residual streams), so TensorRT must not choose. From
    version 11 on every network is such a one, and the flag deprecated.
    """
    if int(version.partition(".")[0]) >= 11:
        return 0
    return 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def build_plan(
    tensorrt: ModuleType, device: CudaDevice, file: GraphFile, workspace: int | None, timings: bytes = b""
) -> Plan:
    """Build the engine of a graph; takes minutes for large ones.

    Args:
        tensorrt: The module.
        device: For which it is built.
        file: The graph.
        workspace: Most memory for what is computed in between, [B]; None for no limit.
        timings: Of an earlier build on the same device with the same version.

    Raises:
        BundleError: The file is no graph that TensorRT knows, or not the one that the bundle describes.
        EngineError: It cannot be built here.
    """
    log = messages_of(tensorrt)
    log.take()
    builder = tensorrt.Builder(log)
    network = builder.create_network(network_flags(tensorrt.__version__, tensorrt))
    parser = tensorrt.OnnxParser(network, log)
    # By its path, so that the parser finds the weights beside it.
    if not parser.parse_from_file(str(file.path)):
        raise BundleError(parse_complaint(file.path, tensorrt.__version__, _parse_errors(parser) or log.take()))
    _compare(file, network)
    config = builder.create_builder_config()
    # TensorFloat-32 has 10 bits of mantissa: float32 means float32 on every engine.
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if workspace is not None:
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, workspace)
    _start_timings(config, timings)
    content = builder.build_serialized_network(network, config)
    if content is None:
        said = log.take()
        if about_memory(said):
            raise device.out_of_memory(f"{file.path}: building its engine: {said}")
        raise EngineError(
            f"{file.path}: TensorRT {tensorrt.__version__} cannot build an engine of it on {device.facts.name}: "
            f"{said}; choose another --engine"
        )
    return Plan(content, config.get_timing_cache().serialize())


def parse_complaint(path: Path, version: str, said: str) -> str:
    """A graph that TensorRT's parser does not take.

    Args:
        path: Of the graph.
        version: TensorRT's.
        said: What it complains of.
    """
    return f"{path}: not a graph that TensorRT {version} can run: {said}; {REMEDY}, or choose another --engine"


def _parse_errors(parser: Any) -> str:
    return "; ".join(" ".join(str(parser.get_error(index).desc()).split()) for index in range(parser.num_errors))


def _compare(file: GraphFile, network: Any) -> None:
    inputs = {tensor.name: _described(tensor) for tensor in map(network.get_input, range(network.num_inputs))}
    outputs = {tensor.name: _described(tensor) for tensor in map(network.get_output, range(network.num_outputs))}
    for kind, declared, found in (
        ("input", file.signature.inputs, inputs),
        ("output", file.signature.outputs, outputs),
    ):
        complaint = signature_complaint(file.path, kind, binding_table(declared), found)
        if complaint is not None:
            raise BundleError(complaint)
    # Outputs that the bundle does not name would be computed, and need memory, all the same.
    named = {tensor.name for tensor in file.signature.outputs}
    for tensor in [network.get_output(index) for index in range(network.num_outputs)]:
        if tensor.name not in named:
            network.unmark_output(tensor)


def _described(tensor: Any) -> Described:
    return tuple(int(length) for length in tensor.shape), TYPES.get(tensor.dtype.name, tensor.dtype.name)


def _start_timings(config: Any, timings: bytes) -> None:
    """Begin with what an earlier build measured, if TensorRT takes it: it checks version and device itself."""
    cache = config.create_timing_cache(timings)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
