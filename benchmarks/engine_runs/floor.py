"""The least that a graph can take: weights read once in every pass at full bandwidth, or arithmetic at the peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.roofline.devices import DEVICES, device_named
from unichunk.benchmarks.roofline.operations import Product
from unichunk.benchmarks.roofline.stages import stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unichunk.benchmarks.roofline.architecture import Model
    from unichunk.benchmarks.roofline.rates import Rates

GOAL: Final = {"prefix": 2.0, "chunk": 3.0}
"""Graph -> how many times its floor it shall take at most, on a GPU."""

_OTHER_CARDS: Final = ("pcie", "nvl", "laptop")
"""Cards of the same chip with other peaks than those in the table."""


@dataclass(frozen=True)
class Floor:
    """The least that a graph can take.

    Attributes:
        weights_s: Its weights read once in every pass, [s].
        arithmetic_s: Its products, [s].
    """

    weights_s: float
    arithmetic_s: float

    @property
    def seconds(self) -> float:
        """The longer of both."""
        return max(self.weights_s, self.arithmetic_s)

    def row(self) -> dict[str, float]:
        """As plain values."""
        return {
            "weights_ms": 1e3 * self.weights_s,
            "arithmetic_ms": 1e3 * self.arithmetic_s,
            "floor_ms": 1e3 * self.seconds,
        }


def graph_floor(model: Model, graph: str, rates: Rates) -> Floor:
    """The floor of one graph.

    Args:
        model: What it computes.
        graph: `prefix` or `chunk`.
        rates: Of the machine. Its bandwidth is for weights; keys, values and activations are left out.
    """
    weights = arithmetic = 0.0
    for stage in stages(model):
        if stage.graph == graph:
            weights += stage.repeats * stage.weight_bytes / rates.bandwidth
            products = [operation for operation in stage.operations if isinstance(operation, Product)]
            arithmetic += stage.repeats * sum(product.arithmetic_s(rates) for product in products)
    return Floor(weights, arithmetic)


def recognized(gpu: str) -> str | None:
    """Name in the table of datasheets of a GPU that says who it is; None for one that is not there.

    Modules of a Jetson do not: an Orin NX and an AGX Orin are both called Orin.
    """
    told = gpu.lower().replace("geforce", "")
    if any(other in told for other in _OTHER_CARDS):
        return None
    for name, device in DEVICES.items():
        words = device.title.lower().replace("geforce", "").replace("sxm", "").split()
        if all(word in told for word in words):
            return name
    return None


def gpu_rates(name: str, precision: str) -> Rates:
    """A GPU's datasheet. Weights in int8 are read as such, and multiplied in float16.

    Raises:
        ProjectionError: No such device, or it does not have the precision.
    """
    return device_named(name).bound("fp16" if precision == "int8" else precision)


@dataclass(frozen=True)
class Yardstick:
    """What engines are held against: a GPU's datasheet, and what the processor reaches in the same turns.

    Attributes:
        threads: Inside one operator.
        processor: Measurements of the processor in float32, by name, each gives seconds.
        gpu: Of the datasheet; None where it is not known.
    """

    threads: int
    processor: Mapping[str, Callable[[], float]]
    gpu: Rates | None

    def processor_rates(self, times: Mapping[str, Sequence[float]]) -> tuple[Rates, dict[str, Any]]:
        """What the processor reached, and the measurements as plain values.

        Args:
            times: Of each measurement, [s].
        """
        from unichunk.benchmarks.roofline.measure import measured  # noqa: PLC0415  (the extra)

        found = measured(self.threads, times)
        return found.rates(), found.row()


def yardstick(threads: int, gpu: Rates | None) -> Yardstick:
    """The measurements, ready to run.

    Args:
        threads: Inside one operator.
        gpu: Of the datasheet; None where it is not known.
    """
    from unichunk.benchmarks.roofline.measure import measurements  # noqa: PLC0415  (the extra)

    return Yardstick(threads, measurements(threads), gpu)
