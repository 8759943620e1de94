"""Which engines can be used here, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import onnxruntime

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.native_tensorrt.device import open_device
from unichunk.runtime.policy.engines.native_tensorrt.libraries import load_libraries as load_tensorrt
from unichunk.runtime.policy.engines.onnx_providers import PROVIDER, TENSORRT
from unichunk.runtime.policy.engines.onnx_surroundings import (
    load_libraries,
    missing_library,
    provider_complaint,
    surroundings,
    tensorrt_version,
)
from unichunk.runtime.policy.engines.options import CPU, ENGINES

if TYPE_CHECKING:
    from unichunk.runtime.policy.engines.onnx_surroundings import Surroundings
    from unichunk.runtime.policy.engines.options import EngineName, EngineOptions


@dataclass(frozen=True)
class EngineStatus:
    """Whether an engine can be used here.

    Attributes:
        name: Of the engine.
        available: Whether it can.
        detail: What it computes with, or what is missing and how to get it; one line.
    """

    name: EngineName
    available: bool
    detail: str


def engine_statuses(options: EngineOptions = CPU, found: Surroundings | None = None) -> list[EngineStatus]:
    """All engines, the default first. Nothing is built or run.

    Args:
        options: Which device.
        found: What there is here; looked up where not given.
    """
    found = surroundings() if found is None else found
    return [_status(replace(options, name=name), found) for name in ENGINES]


def _status(options: EngineOptions, found: Surroundings) -> EngineStatus:
    if options.name == CPU.name:
        return EngineStatus(options.name, available=True, detail=f"ONNX Runtime {onnxruntime.__version__} on the CPU")
    try:
        detail = _native(options) if options.name == "tensorrt" else _provider(options, found)
    except EngineError as error:
        return EngineStatus(options.name, available=False, detail=str(error))
    return EngineStatus(options.name, available=True, detail=detail)


def _native(options: EngineOptions) -> str:
    libraries = load_tensorrt()
    device = open_device(libraries.cuda, options.device)
    return f"TensorRT {libraries.tensorrt.__version__} on {device.facts.name}, CUDA {device.facts.runtime}"


def _provider(options: EngineOptions, found: Surroundings) -> str:
    complaint = provider_complaint(found, options)
    if complaint is None:
        load_libraries()
        complaint = missing_library(PROVIDER[options.name])
    if complaint is not None:
        raise EngineError(complaint)
    provider = PROVIDER[options.name]
    built = f", TensorRT {tensorrt_version()}" if provider == TENSORRT else ""
    return f"ONNX Runtime {found.version}{built} on {found.gpus[options.device].name}, driver {found.release}"
