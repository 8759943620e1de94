"""Whether a model fits into a device's memory, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.roofline.devices import BYTES
from unichunk.benchmarks.roofline.operations import Product
from unichunk.benchmarks.roofline.stages import parameters, stages

if TYPE_CHECKING:
    from unichunk.benchmarks.roofline.architecture import Model
    from unichunk.benchmarks.roofline.devices import Device

TIGHT: Final = 0.85
"""Share of the free memory above which there is little left for a second engine, a build or a larger picture."""

BUILDING: Final = 2.0
"""Weights that building an engine on the device holds at once, in terms of the model's: an assumption."""

BUFFERS: Final = 2
"""Activations held at a time, in terms of the largest operation's operands and result."""


@dataclass(frozen=True)
class MemoryNeed:
    """What a model takes on a device, and what the device has left for it, [GB]."""

    weights: float
    kept: float
    activations: float
    free: float

    @property
    def total(self) -> float:
        """Weights, keys and values, activations."""
        return self.weights + self.kept + self.activations

    @property
    def fits(self) -> bool:
        """Whether there is room."""
        return self.total <= self.free

    @property
    def building(self) -> float:
        """While an engine is built on the device, [GB]."""
        return BUILDING * self.weights

    def verdict(self) -> str:
        """In words, with the numbers."""
        running = self._running()
        if self.fits and self.building > self.free:
            return f"{running}; building an engine there does not fit: about {self.building:.1f} GB"
        return running

    def _running(self) -> str:
        numbers = f"{self.total:.2f} of {self.free:.1f} GB"
        if self.weights > self.free:
            return f"does not fit: the weights alone take {self.weights:.2f} of {self.free:.1f} GB"
        if not self.fits:
            return f"does not fit: weights, keys and values and activations take {numbers}"
        return f"tight: {numbers}" if self.total > TIGHT * self.free else f"fits: {numbers}"

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "prediction": True,
            "weights_gb": self.weights,
            "keys_values_gb": self.kept,
            "activations_gb": self.activations,
            "free_gb": self.free,
            "building_gb": self.building,
            "fits": self.fits,
            "verdict": self.verdict(),
        }


def memory_need(model: Model, device: Device) -> MemoryNeed:
    """What the loaded graphs need."""
    shape, size = model.decoder, BYTES[model.workload.precision]
    products = [
        operation for stage in stages(model) for operation in stage.operations if isinstance(operation, Product)
    ]
    kept = 2 * shape.layers * model.prefix_tokens * shape.kv_heads * shape.head_dim * size
    largest = max(product.activation_bytes / product.count for product in products)
    return MemoryNeed(
        weights=parameters(model) * size / 1e9,
        kept=kept / 1e9,
        activations=BUFFERS * largest / 1e9,
        free=device.memory_gb - device.reserved_gb,
    )
