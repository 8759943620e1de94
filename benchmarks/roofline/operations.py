"""The two kinds of work in the graphs: matrix products, and what stands between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from unichunk.benchmarks.roofline.rates import Rates

ACTIVATION_BYTES: Final = 4
"""Between the products everything is float32, in all precisions."""


@dataclass(frozen=True)
class Product:
    """A matrix product, or several of the same shape.

    Attributes:
        rows: Rows of the left operand.
        flops: Multiplications and additions of all of them.
        weight_bytes: Read from the checkpoint's weights.
        kv_bytes: Keys or values.
        activation_bytes: The left operand, the result, and a right operand that is neither.
        count: How many.
    """

    rows: int
    flops: float
    weight_bytes: float = 0.0
    kv_bytes: float = 0.0
    activation_bytes: float = 0.0
    count: int = 1

    def arithmetic_s(self, rates: Rates) -> float:
        """At the peak, [s]."""
        return self.flops / rates.peak.at(self.rows)

    def memory_s(self, rates: Rates) -> float:
        """Everything that does not stay in the cache, once, [s]."""
        cached = self.activation_bytes / self.count <= rates.cache_bytes
        return (self.weight_bytes + self.kv_bytes + (0.0 if cached else self.activation_bytes)) / rates.bandwidth

    def work_s(self, rates: Rates) -> float:
        """The longer of arithmetic and memory, [s]."""
        return max(self.arithmetic_s(rates), self.memory_s(rates))

    def hidden_s(self, rates: Rates) -> float:
        """The shorter of them, which the roofline takes for hidden behind the longer, [s]."""
        return min(self.arithmetic_s(rates), self.memory_s(rates))

    def launches(self, rates: Rates) -> int:
        """Kernels, fused or not."""
        del rates
        return self.count


@dataclass(frozen=True)
class Pointwise:
    """Norms, rotary embedding, softmax, activation, residual sums, moves of data.

    Attributes:
        elements: Of the tensor that goes through.
        passes: Nodes of the graph that go over all of it.
        nodes: Nodes of the graph, small ones too.
        count: How many such pieces; the other numbers are of one.
        inside: Whether a fused kernel of the products around it keeps it to itself, as it does with scores.
    """

    elements: int
    passes: int
    nodes: int
    count: int = 1
    inside: bool = False

    flops = 0.0
    weight_bytes = 0.0
    kv_bytes = 0.0

    @property
    def activation_bytes(self) -> float:
        """Read once and written once by a fused kernel, unless it never leaves one."""
        return 0.0 if self.inside else 2.0 * ACTIVATION_BYTES * self.elements * self.count

    def work_s(self, rates: Rates) -> float:
        """As a fused kernel, or read and written in every pass, [s]."""
        if rates.fused:
            cached = self.activation_bytes / self.count <= rates.cache_bytes
            return 0.0 if cached else self.activation_bytes / rates.pointwise_bandwidth
        return 2.0 * ACTIVATION_BYTES * self.elements * self.count * self.passes / rates.pointwise_bandwidth

    def launches(self, rates: Rates) -> int:
        """Kernels, fused or not."""
        if rates.fused:
            return 0 if self.inside else self.count
        return self.count * self.nodes


Operation = Product | Pointwise


def linear(rows: int, inputs: int, outputs: int, size: int, count: int = 1) -> Product:
    """Rows through a matrix of weights, `count` times with other weights.

    Args:
        rows: Rows.
        inputs: Columns of a row before.
        outputs: Columns after.
        size: Bytes of a weight.
        count: Number of such products.
    """
    return Product(
        rows=rows,
        flops=2.0 * count * rows * inputs * outputs,
        weight_bytes=float(count * inputs * outputs * size),
        activation_bytes=float(count * rows * (inputs + outputs) * ACTIVATION_BYTES),
        count=count,
    )


def attention(
    rows: int, keys: int, heads: int, kv_heads: int, head_dim: int, size: int, count: int = 1
) -> list[Operation]:
    """Scores, softmax and mixture of values.

    Args:
        rows: Tokens that ask.
        keys: Tokens that are asked.
        heads: Query heads.
        kv_heads: Heads of keys and values.
        head_dim: Width of a head.
        size: Bytes of a number in keys and values.
        count: Number of layers (times views).
    """
    scores = heads * rows * keys
    product = Product(
        rows=rows * heads // kv_heads,
        flops=2.0 * count * scores * head_dim,
        kv_bytes=float(count * kv_heads * keys * head_dim * size),
        activation_bytes=float(count * heads * rows * head_dim * ACTIVATION_BYTES),
        count=count,
    )
    return [product, Pointwise(scores, passes=4, nodes=4, count=count, inside=True), product]
