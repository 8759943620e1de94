"""What ONNX Runtime complains of, in one line that a person can act on. Nothing here asks a device."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from unichunk.runtime.errors import BundleError, EngineError
from unichunk.runtime.policy.bundle import REMEDY

if TYPE_CHECKING:
    from unichunk.runtime.errors import UnichunkError
    from unichunk.runtime.policy.engines.graph_file import GraphFile

# ONNX Runtime's own errors have no common root below Exception.
ORT_ERRORS: Final[tuple[type[Exception], ...]] = (
    OSError,
    RuntimeError,
    *(
        error
        for error in vars(onnxruntime_pybind11_state).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
)

MEMORY_REMEDY: Final = (
    "end what else uses the device, raise the limit if there is one (--gpu-memory), take a larger device, or a bundle "
    "of lower precision"
)

_CAPTURE: Final = "cannot use the graph capture feature"
_REQUESTED: Final = re.compile(r"requested buffer of size (\d+)|smaller than requested bytes of (\d+)")
_MEMORY: Final = (
    "Failed to allocate memory",
    "is smaller than requested bytes",
    "CUDA failure 2:",
    "out of memory",
    "ALLOC_FAILED",
)
"""What the arena, the CUDA runtime, and cuBLAS or cuDNN say."""

_FAULTS: Final = (
    (
        ("CUDA failure 35:", "driver version is insufficient"),
        "the NVIDIA driver is too old for this ONNX Runtime; update the driver, or install the onnxruntime-gpu for its "
        "CUDA",
    ),
    (("CUDA failure 100:",), "there is no NVIDIA GPU that this process can see; check nvidia-smi"),
    (("CUDA failure 101:",), "there is no GPU of this number; check --device and CUDA_VISIBLE_DEVICES"),
    (
        ("CUDA failure 209:", "no kernel image is available"),
        "this ONNX Runtime has no code for this GPU; install an onnxruntime-gpu that has",
    ),
)
"""Signs of a fault, and what it is and what to do."""


def reason(error: Exception) -> str:
    """What ONNX Runtime complains of, in one line, without the places in its sources."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"/\S+\.(?:cc|h):\d+ .*?\([^()]*\) ", " ", first_line)


def is_no_capture(error: Exception) -> bool:
    """Whether a graph was refused because it cannot be recorded as a CUDA graph."""
    return _CAPTURE in str(error)


def load_complaint(file: GraphFile, error: Exception, where: str) -> UnichunkError:
    """The error to raise where a graph cannot be loaded.

    Args:
        file: The graph.
        error: What ONNX Runtime says.
        where: What it should be computed on, such as `the CPU`.
    """
    version = onnxruntime.__version__
    if isinstance(error, onnxruntime_pybind11_state.NotImplemented):
        return BundleError(
            f"{file.path}: ONNX Runtime {version} cannot compute it in {file.precision} on {where} ({reason(error)}); "
            "compile the checkpoint with --precision fp32"
        )
    fault = _device_fault(file, error)
    if fault is not None:
        return fault
    if isinstance(error, onnxruntime_pybind11_state.EPFail):
        return EngineError(f"{file.path}: ONNX Runtime {version} cannot prepare it for {where}: {reason(error)}")
    return BundleError(f"{file.path}: not a graph that ONNX Runtime {version} can run: {reason(error)}; {REMEDY}")


def run_complaint(file: GraphFile, error: Exception) -> EngineError:
    """The error to raise where a run of a graph failed.

    Args:
        file: The graph.
        error: What ONNX Runtime says.
    """
    return _device_fault(file, error) or EngineError(
        f"{file.path}: ONNX Runtime {onnxruntime.__version__} failed while it ran: {reason(error)}"
    )


def _device_fault(file: GraphFile, error: Exception) -> EngineError | None:
    text = str(error)
    if any(sign in text for sign in _MEMORY):
        found = _REQUESTED.search(text)
        asked = f" (the next {_mebibytes(found)} MiB)" if found else ""
        return EngineError(f"{file.path}: out of memory{asked}; {MEMORY_REMEDY}")
    for signs, meaning in _FAULTS:
        if any(sign in text for sign in signs):
            return EngineError(f"{file.path}: {meaning} ({reason(error)})")
    return None


def _mebibytes(found: re.Match[str]) -> str:
    return f"{int(found[1] or found[2]) / 2**20:.1f}"
