"""What can keep TensorRT from running a bundle here, in one line each. Nothing here asks a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

OLDEST_TENSORRT: Final = 10
"""Major version: the first with 64-bit indices and bfloat16 in strongly typed networks."""

ELSE: Final = "`unichunk engines` lists the others"

_HOW_TO_GET: Final = {
    "tensorrt": (
        "a Jetson has it with JetPack 6.1 or newer (make the environment with --system-site-packages), elsewhere "
        "pip install 'unichunk[tensorrt]'"
    ),
    "cuda.bindings.runtime": (
        "pip install 'cuda-bindings>=12.8,<13' for a driver with CUDA 12, 'cuda-bindings>=13' for one with CUDA 13"
    ),
}

MEMORY_ALLOCATION: Final = 2
INSUFFICIENT_DRIVER: Final = 35
NO_DEVICE: Final = 100
_NO_DRIVER_FITS: Final = {INSUFFICIENT_DRIVER, 34, 36, 803, 804}
"""`cudaError_t`: insufficient driver, stub library, call needs newer driver, mismatched driver, no compatibility."""

_FEWEST_CAPABILITY: Final = {"fp32": (7, 5), "fp16": (7, 5), "bf16": (8, 0)}
"""Precision -> compute capability that has it: TensorRT's own least, and the first with bfloat16 (Ampere)."""

_OUT_OF_MEMORY: Final = ("outofmemory", "out of memory", "could not be allocated", "insufficient memory")
"""What TensorRT's messages say of memory, in lower case."""


def library_missing(module: str, reason: str) -> str:
    """A Python module that cannot be imported.

    Args:
        module: Its import name.
        reason: What Python says.
    """
    return f"--engine tensorrt: the Python module {module} cannot be used ({reason}): {_HOW_TO_GET[module]}; {ELSE}"


def version_complaint(version: str) -> str | None:
    """A TensorRT that is too old for the API that is used here."""
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) >= OLDEST_TENSORRT:
        return None
    return (
        f"--engine tensorrt: TensorRT {version} is installed, expected {OLDEST_TENSORRT} or newer: "
        f"{_HOW_TO_GET['tensorrt']}; {ELSE}"
    )


def cuda_version(number: int) -> str:
    """The version that CUDA writes as one number, 12040 for 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"


def driver_complaint(driver: int, runtime: int) -> str | None:
    """A driver that is missing, or older than the CUDA that is used.

    Inside one major version, an older driver runs what a newer CUDA made (minor version compatibility, CUDA
    Compatibility guide).

    Args:
        driver: Latest CUDA that the driver has, as `cudaDriverGetVersion` gives it; 0 where there is no driver.
        runtime: As `cudaRuntimeGetVersion` gives it.
    """
    if driver // 1000 >= runtime // 1000:
        return None
    if driver <= 0:
        return f"--engine tensorrt: no NVIDIA driver is loaded here; install one for CUDA {runtime // 1000}; {ELSE}"
    return (
        f"--engine tensorrt: the NVIDIA driver is for CUDA {cuda_version(driver)}, cuda-bindings for "
        f"{cuda_version(runtime)}: update the driver, or pip install 'cuda-bindings<{driver // 1000 + 1}'; {ELSE}"
    )


def device_complaint(code: int, name: str) -> str:
    """A CUDA error that says that no device can be used at all.

    Args:
        code: Number of the `cudaError_t`.
        name: Its name.
    """
    if code == NO_DEVICE:
        return (
            f"--engine tensorrt: no CUDA device can be seen ({name}): is one there (nvidia-smi), is it hidden by "
            f"CUDA_VISIBLE_DEVICES, was it given to the container (--gpus all)? {ELSE}"
        )
    if code in _NO_DRIVER_FITS:
        return f"--engine tensorrt: the NVIDIA driver is missing or too old ({name}): install a newer one; {ELSE}"
    return f"--engine tensorrt: CUDA does not start: {name}; {ELSE}"


def number_complaint(number: int, count: int) -> str | None:
    """A device that is not there."""
    if 0 <= number < count:
        return None
    return (
        f"--device {number}: expected 0 to {count - 1}, {count} CUDA {'devices' if count > 1 else 'device'} can be seen"
    )


def precision_complaint(path: Path, precision: str, capability: tuple[int, int], device: str) -> str | None:
    """A bundle whose numbers the device, or TensorRT, has no arithmetic for.

    Args:
        path: Of the graph.
        precision: The bundle's.
        capability: Compute capability of the device.
        device: Its name.
    """
    if precision == "int8":
        return (
            f"{path}: int8 weights are for ONNX Runtime alone (its operator MatMulNBits); choose --engine onnxruntime "
            "or onnxruntime-cuda, or compile the checkpoint with --precision fp16"
        )
    least = _FEWEST_CAPABILITY[precision]
    if capability >= least:
        return None
    remedy = "compile the checkpoint with --precision fp16" if capability >= _FEWEST_CAPABILITY["fp16"] else ELSE
    has, needs = (".".join(map(str, each)) for each in (capability, least))
    return f"{path}: {device} has compute capability {has}, {precision} in TensorRT needs {needs}; {remedy}"


def about_memory(messages: str) -> bool:
    """Whether TensorRT complains of too little memory."""
    return any(sign in messages.lower() for sign in _OUT_OF_MEMORY)


def memory_complaint(what: str, device: str, free: int, total: int, needed: int | None = None) -> str:
    """Memory of the device that ran out.

    Args:
        what: For what.
        device: Its name.
        free: [B].
        total: [B].
        needed: [B]; None where nobody says.
    """
    wanted = "" if needed is None else f" ({needed / 2**20:.1f} MiB asked for)"
    return (
        f"{what}: out of memory on {device}{wanted}: {free / 2**30:.2f} of {total / 2**30:.2f} GiB are free; end what "
        "else uses the device, take a larger one, or compile the checkpoint in a smaller precision"
    )
