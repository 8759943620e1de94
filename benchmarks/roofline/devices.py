"""Devices as their datasheets describe them: dense peaks, memory bandwidth, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.roofline.errors import ProjectionError
from unichunk.benchmarks.roofline.rates import PeakCurve, Rates

if TYPE_CHECKING:
    from collections.abc import Mapping

BYTES: Final[Mapping[str, int]] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}
"""Precision -> bytes of a weight."""

COMPILED: Final = ("fp32", "fp16", "bf16")
"""Precisions that `unichunk compile` writes; the others are shown as what an engine that has them could gain."""

LAUNCH_S: Final = 2e-6
"""Gap between two kernels of a captured graph, [s]: an assumption, no datasheet has it."""

EFFICIENCY: Final = 0.7
"""Share of the roofline that a good implementation is expected to reach, besides its launches: with it, the published
runs of pi0.5 on Jetson and RTX devices come out within about a third (`peers.py`)."""

CAUTIOUS: Final = 0.45
"""The smallest share that one of them reached."""


@dataclass(frozen=True)
class Device:
    """One device; its matrix units only, without accelerators that the graphs do not use (DLA).

    Attributes:
        name: As it is asked for.
        title: For people.
        tera: Precision -> dense peak, [TFLOP/s or TOP/s], sums in 32 bits; a precision that is missing does not exist
            there, or the datasheet does not give it.
        bandwidth_gb: Of the memory, [GB/s].
        memory_gb: Of the device, [GB]; shared with the processor on a Jetson.
        reserved_gb: What is assumed to be taken by system, cameras and the engine's own context, [GB].
        cache_mb: Last-level cache of the GPU, [MB].
        sources: Where the figures are from.
    """

    name: str
    title: str
    tera: Mapping[str, float]
    bandwidth_gb: float
    memory_gb: float
    reserved_gb: float
    cache_mb: float
    sources: tuple[str, ...]

    def bound(self, precision: str) -> Rates:
        """The roofline itself: every peak reached, launches free, everything between products fused.

        Raises:
            ProjectionError: The device does not have the precision.
        """
        return self._rates(precision, 1.0, 0.0)

    def expected(self, precision: str, efficiency: float = EFFICIENCY) -> Rates:
        """What an implementation is expected to reach.

        Raises:
            ProjectionError: The device does not have the precision.
        """
        return self._rates(precision, efficiency, LAUNCH_S)

    def _rates(self, precision: str, efficiency: float, launch_s: float) -> Rates:
        if precision not in self.tera:
            known = ", ".join(self.tera)
            raise ProjectionError(
                f"{self.name}: no dense peak known for precision {precision!r}: expected one of {known}"
            )
        bandwidth = 1e9 * self.bandwidth_gb * efficiency
        return Rates(
            peak=PeakCurve.flat(1e12 * self.tera[precision] * efficiency),
            bandwidth=bandwidth,
            pointwise_bandwidth=bandwidth,
            launch_s=launch_s,
            fused=True,
            cache_bytes=1e6 * self.cache_mb,
        )


_ORIN_NX: Final = (
    "NVIDIA Jetson Orin NX Series Modules Data Sheet DS-10712-001: cores, clocks, memory",
    "peaks: 8 SM x 4096 dense INT8 operations a clock (half of the sparse TOPS of the GPU), FP16 half of that, FP32 "
    "2 x 1024 cores x clock; without the DLA and without the Super power modes",
)
_AGX_ORIN: Final = (
    "NVIDIA Jetson AGX Orin Series Technical Brief v1.2: cores, clocks, memory, sparse INT8 TOPS of the GPU",
    "peaks: half of the sparse INT8 TOPS of the GPU, FP16 half of that; without the DLA",
)
_THOR: Final = (
    "NVIDIA Jetson Thor Series Modules Data Sheet (T5000): 2070 sparse FP4 TFLOPS, 273 GB/s, 128 GB",
    "peaks: FP4 dense is half of sparse, FP8 half of that, FP16 and BF16 half of that; FP32 2 x 2560 cores x 1.575 GHz",
    "INT8: not given there",
)
_ADA: Final = ("NVIDIA Ada GPU Architecture whitepaper v2.01, appendix A, dense, FP32 accumulation",)
_BLACKWELL: Final = ("NVIDIA RTX Blackwell GPU Architecture whitepaper, appendix A, dense, FP32 accumulation",)
_H100: Final = ("NVIDIA H100 Tensor Core GPU Datasheet (SXM): sparse figures halved",)
_H200: Final = ("NVIDIA H200 Tensor Core GPU Datasheet (SXM): sparse figures halved",)


def _halves(fp32: float, half: float, **others: float) -> dict[str, float]:
    return {"fp32": fp32, "fp16": half, "bf16": half, **others}


_ALL: Final = (
    Device("orin-nx-8", "Jetson Orin NX 8 GB", _halves(1.57, 12.5, int8=25.1), 102.4, 8, 2, 4, _ORIN_NX),
    Device("orin-nx-16", "Jetson Orin NX 16 GB", _halves(1.88, 15.0, int8=30.1), 102.4, 16, 2, 4, _ORIN_NX),
    Device("agx-orin-32", "Jetson AGX Orin 32 GB", _halves(3.33, 26.7, int8=53.3), 204.8, 32, 2, 4, _AGX_ORIN),
    Device("agx-orin-64", "Jetson AGX Orin 64 GB", _halves(5.3, 42.6, int8=85.2), 204.8, 64, 2, 4, _AGX_ORIN),
    Device("thor", "Jetson AGX Thor (T5000)", _halves(8.06, 259, fp8=517), 273, 128, 2, 32, _THOR),
    Device("rtx-4090", "GeForce RTX 4090", _halves(82.6, 165.2, int8=660.6, fp8=330.3), 1008, 24, 1, 72, _ADA),
    Device("rtx-5090", "GeForce RTX 5090", _halves(104.8, 209.5, int8=838, fp8=419), 1792, 32, 1, 96, _BLACKWELL),
    Device("h100", "H100 SXM", _halves(66.9, 989, int8=1979, fp8=1979), 3350, 80, 1, 50, _H100),
    Device("h200", "H200 SXM", _halves(66.9, 989, int8=1979, fp8=1979), 4800, 141, 1, 50, _H200),
)

DEVICES: Final[Mapping[str, Device]] = {device.name: device for device in _ALL}
"""By name, from the smallest."""


def device_named(name: str) -> Device:
    """A device of the table.

    Raises:
        ProjectionError: None goes by that name; the message names those that do.
    """
    if name not in DEVICES:
        raise ProjectionError(f"unknown device {name!r}: expected one of {', '.join(DEVICES)}")
    return DEVICES[name]
