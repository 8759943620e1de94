"""What there is of ONNX Runtime and NVIDIA's driver here, and what keeps a provider from being used."""

from __future__ import annotations

import ctypes
import importlib
import io
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import onnxruntime

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.cuda_driver import LIBRARY, cuda_driver
from unichunk.runtime.policy.engines.onnx_providers import PROVIDER, TENSORRT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.runtime.policy.engines.cuda_driver import Gpu
    from unichunk.runtime.policy.engines.options import EngineOptions

OLDEST: Final = (1, 31)
"""Of onnxruntime-gpu: copies inside the device (`OrtValue.update_inplace`) are used, which it has."""

_PACKAGES: Final = ("onnxruntime", "onnxruntime-gpu")
INSTALL: Final = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]'"
"""Both packages are one folder: whichever was installed last has overwritten the other, and removing one breaks it."""

_INFER: Final = tuple(f"libnvinfer.so.{major}" for major in (11, 10))


@dataclass(frozen=True)
class Surroundings:
    """What there is here.

    Attributes:
        version: Of ONNX Runtime.
        providers: That it was built with.
        cuda: Version of CUDA that it was built for; empty where for none.
        packages: Its distributions that are installed -> their versions.
        driver: Latest CUDA that the NVIDIA driver has, such as 13000; None where there is no driver.
        release: Of the driver.
        gpus: Devices.
        fault: What the driver says instead.
    """

    version: str
    providers: tuple[str, ...]
    cuda: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    driver: int | None = None
    release: str = ""
    gpus: tuple[Gpu, ...] = ()
    fault: str = ""


def surroundings() -> Surroundings:
    """Look around."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    driver, fault = None, ""
    try:
        driver = cuda_driver()
    except EngineError as error:
        fault = str(error)
    return Surroundings(
        version=onnxruntime.__version__,
        providers=tuple(onnxruntime.get_available_providers()),
        cuda=getattr(onnxruntime, "cuda_version", "") or "",
        packages=packages,
        driver=None if driver is None else driver.cuda,
        release="" if driver is None else driver.release,
        gpus=() if driver is None else driver.gpus,
        fault=fault,
    )


def provider_complaint(found: Surroundings, options: EngineOptions) -> str | None:
    """Why an engine cannot be used here, and what to do, in one line; None if nothing speaks against it.

    Args:
        found: What there is.
        options: The engine and its device.
    """
    provider = PROVIDER[options.name]
    if provider not in found.providers:
        return _absent(found, provider)
    version = tuple(int(part) for part in found.version.split(".")[:2])
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"ONNX Runtime {found.version} is installed, expected {oldest} or newer; {INSTALL}"
    return _driver_complaint(found) or _device_complaint(found, options.device)


def _absent(found: Surroundings, provider: str) -> str:
    there = ", ".join(found.providers)
    if len(found.packages) == len(_PACKAGES):
        return (
            f"onnxruntime and onnxruntime-gpu are both installed and share one folder, and what is there has no "
            f"{provider} (it has {there}); {INSTALL}"
        )
    return f"ONNX Runtime {found.version} has no {provider} (it has {there}); {INSTALL}"


def _driver_complaint(found: Surroundings) -> str | None:
    if found.fault:
        return f"{found.fault}; check nvidia-smi, and restart the machine after an update of the driver"
    if found.driver is None:
        return (
            f"no NVIDIA driver ({LIBRARY} cannot be loaded); install the driver of the GPU, or start the container "
            "with --gpus all"
        )
    major = found.cuda.partition(".")[0]
    # Any driver of the same major version runs it (CUDA's minor version compatibility).
    if major.isdecimal() and found.driver // 1000 < int(major):
        has = f"{found.driver // 1000}.{found.driver % 1000 // 10}"
        return (
            f"the NVIDIA driver {found.release} has CUDA {has}, this onnxruntime-gpu needs CUDA {found.cuda}; update "
            f"the driver, or install an onnxruntime-gpu for CUDA {has.partition('.')[0]}"
        )
    return None


def _device_complaint(found: Surroundings, number: int) -> str | None:
    if not found.gpus:
        return "the NVIDIA driver sees no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES"
    if not 0 <= number < len(found.gpus):
        gpus = ", ".join(f"{index}: {gpu.name}" for index, gpu in enumerate(found.gpus))
        return f"--device {number}: expected one of {gpus}"
    return None


def load_libraries() -> None:
    """Load CUDA, cuDNN and TensorRT from their Python packages, where they are installed so."""
    # It prints what it does not find, which the provider then says better.
    with redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    with suppress(ImportError, OSError):
        # Its module loads its libraries.
        importlib.import_module("tensorrt")


def missing_library(provider: str) -> str | None:
    """What the system's loader says of a provider that ONNX Runtime left out; None if it says nothing."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    kind = "tensorrt" if provider == TENSORRT else "cuda"
    for name in ("libonnxruntime_providers_shared.so", f"libonnxruntime_providers_{kind}.so"):
        try:
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return str(error).splitlines()[0]
    return None


def tensorrt_version() -> str:
    """Version of TensorRT's library, such as 10.13.2; empty where it cannot be loaded."""
    for name in _INFER:
        try:
            number = int(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        # NV_TENSORRT_VERSION_INT of TensorRT 10.
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return ""
