"""From a graph's file to an engine on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.runtime.errors import BundleError, EngineError
from unichunk.runtime.policy.engines.cache import EngineCache
from unichunk.runtime.policy.engines.native_tensorrt.bindings import (
    TYPES,
    binding_table,
    signature_complaint,
    workspace_bytes,
)
from unichunk.runtime.policy.engines.native_tensorrt.builder import build_plan
from unichunk.runtime.policy.engines.native_tensorrt.complaints import about_memory, precision_complaint
from unichunk.runtime.policy.engines.native_tensorrt.messages import messages_of
from unichunk.runtime.policy.engines.native_tensorrt.plans import cached_plan, distrust, mapped

if TYPE_CHECKING:
    from types import ModuleType

    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice
    from unichunk.runtime.policy.engines.options import EngineOptions


def load_engine(tensorrt: ModuleType, device: CudaDevice, file: GraphFile, options: EngineOptions) -> Any:
    """Build a graph's engine, or take the one that was built before, and put it on the device.

    Args:
        tensorrt: The module.
        device: Where it shall run.
        file: The graph.
        options: Cache and memory.

    Returns:
        An `ICudaEngine`.

    Raises:
        BundleError: The graph is damaged, not the one that the bundle describes, or of a kind that TensorRT lacks.
        EngineError: The device, or its memory, does not do for it.
    """
    complaint = precision_complaint(file.path, file.precision, device.facts.capability, device.facts.name)
    if complaint is not None:
        raise BundleError(complaint)
    workspace = _workspace(file, options)
    if not file.hashes:
        # Nobody knows what the graph is made of: there is nothing to find it again by.
        content = build_plan(tensorrt, device, file, workspace).content
        return _checked(tensorrt, file, _engine(tensorrt, device, file, content))
    cache = EngineCache(options.cache)
    plan = cached_plan(cache, tensorrt, device, file, workspace)
    engine = _engine(tensorrt, device, file, mapped(plan))
    if engine is None:
        distrust(plan)
        engine = _engine(tensorrt, device, file, mapped(cached_plan(cache, tensorrt, device, file, workspace)))
    return _checked(tensorrt, file, engine)


def _workspace(file: GraphFile, options: EngineOptions) -> int | None:
    weights = sum((file.path.parent / name).stat().st_size for name in file.hashes)
    tensors = binding_table((*file.signature.inputs, *file.signature.outputs))
    needed = weights + sum(tensor.nbytes for tensor in tensors.values())
    left = workspace_bytes(options.memory_gib, needed)
    if left is not None and left <= 0:
        raise EngineError(
            f"{file.path}: weights and tensors take {needed / 2**30:.2f} GiB, {options.memory_gib:g} GiB are allowed; "
            "allow more, or compile the checkpoint in a smaller precision"
        )
    return left


def _engine(tensorrt: ModuleType, device: CudaDevice, file: GraphFile, content: Any) -> Any | None:
    """A plan on the device; None where TensorRT refuses it for another reason than memory."""
    log = messages_of(tensorrt)
    log.take()
    engine = tensorrt.Runtime(log).deserialize_cuda_engine(content)
    if engine is None:
        said = log.take()
        if about_memory(said):
            raise device.out_of_memory(f"{file.path}: loading its engine: {said}")
    return engine


def _checked(tensorrt: ModuleType, file: GraphFile, engine: Any | None) -> Any:
    if engine is None:
        raise EngineError(
            f"{file.path}: TensorRT {tensorrt.__version__} does not take the engine that it has just built; two "
            "versions of it may be installed side by side: keep one"
        )
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    for name in names:
        if engine.get_tensor_location(name) != tensorrt.TensorLocation.DEVICE:
            raise BundleError(
                f"{file.path}: `{name}` decides shapes, which graphs of a bundle must not; compile it again"
            )
    found = {
        name: (
            tuple(int(length) for length in engine.get_tensor_shape(name)),
            TYPES.get(engine.get_tensor_dtype(name).name, engine.get_tensor_dtype(name).name),
        )
        for name in names
    }
    # TensorRT may drop an input that nothing reads; what it gives must all be there.
    kept = [tensor for tensor in file.signature.inputs if tensor.name in found]
    outputs = {name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.OUTPUT}
    for kind, declared, described in (
        ("input", kept, {name: found[name] for name in found.keys() - outputs}),
        ("output", file.signature.outputs, {name: found[name] for name in outputs}),
    ):
        complaint = signature_complaint(file.path, kind, binding_table(declared), described)
        if complaint is not None:
            raise BundleError(complaint)
    return engine
