"""A CUDA device."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.native_tensorrt.complaints import (
    cuda_version,
    device_complaint,
    driver_complaint,
    memory_complaint,
    number_complaint,
)
from unichunk.runtime.policy.engines.native_tensorrt.cuda import CudaFault

if TYPE_CHECKING:
    from unichunk.runtime.policy.engines.native_tensorrt.cuda import Cuda


@dataclass(frozen=True)
class DeviceFacts:
    """What a built engine depends on.

    Attributes:
        name: As the driver calls it.
        capability: Compute capability.
        driver: Latest CUDA that the driver has.
        runtime: CUDA of the bindings.
    """

    name: str
    capability: tuple[int, int]
    driver: str
    runtime: str


@dataclass(frozen=True)
class CudaDevice:
    """A CUDA device.

    Attributes:
        cuda: The runtime.
        number: Of the device.
        facts: What it is.
    """

    cuda: Cuda
    number: int
    facts: DeviceFacts

    def select(self) -> None:
        """Make it the one of the calling thread; every thread has a choice of its own."""
        self.cuda("cudaSetDevice", self.number)

    def out_of_memory(self, what: str, needed: int | None = None) -> EngineError:
        """The error to raise where its memory ran out.

        Args:
            what: For what.
            needed: [B]; None where nobody says.
        """
        free, total = self.cuda("cudaMemGetInfo")
        return EngineError(memory_complaint(what, self.facts.name, int(free), int(total), needed))


def open_device(cuda: Cuda, number: int) -> CudaDevice:
    """A device, seen and chosen.

    Args:
        cuda: The runtime.
        number: Of the device.

    Raises:
        EngineError: No driver or one that is too old, no device, or none of that number.
    """
    driver, runtime = int(cuda("cudaDriverGetVersion")), int(cuda("cudaRuntimeGetVersion"))
    complaint = driver_complaint(driver, runtime)
    if complaint is None:
        try:
            complaint = number_complaint(number, int(cuda("cudaGetDeviceCount")))
        except CudaFault as fault:
            complaint = device_complaint(fault.code, fault.name)
    if complaint is not None:
        raise EngineError(complaint)
    cuda("cudaSetDevice", number)
    # A thread that spins for the device would take a core from the control thread. Where something else has begun to
    # use the device already, its choice stays.
    with suppress(CudaFault):
        cuda("cudaSetDeviceFlags", cuda.runtime.cudaDeviceScheduleBlockingSync)
    found = cuda("cudaGetDeviceProperties", number)
    name = found.name.decode(errors="replace").strip("\0 ")
    facts = DeviceFacts(name, (int(found.major), int(found.minor)), cuda_version(driver), cuda_version(runtime))
    return CudaDevice(cuda, number, facts)
