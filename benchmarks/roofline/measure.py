"""What this processor reaches, through the engine that runs the policies: products, memory, small and tiny nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from unichunk.benchmarks.roofline.rates import PeakCurve, Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROWS: Final = (1, 8, 24, 64, 256)
"""Rows of products whose arithmetic is measured: few are Euler steps, many the prefix."""

WIDTH: Final = 512
CHAIN: Final = 4
NODES: Final = 200
COPIED_BYTES: Final = 128 * 2**20
BUSY_S: Final = 0.02
"""At least as long as this runs what is timed at once, [s]."""
OPSET: Final = 18
IR_VERSION: Final = 9


@dataclass(frozen=True)
class Measured:
    """Medians.

    Attributes:
        threads: Inside one operator.
        product_flops: For each of `ROWS`, [FLOP/s].
        copy_bandwidth: Of a large array, read and written, [B/s].
        pointwise_bandwidth: Of chains of sums over arrays that stay in the cache, read and written, [B/s].
        node_s: A node over one number, [s].
    """

    threads: int
    product_flops: tuple[float, ...]
    copy_bandwidth: float
    pointwise_bandwidth: float
    node_s: float

    def rates(self) -> Rates:
        """What times are computed from; the engine fuses little of what stands between products."""
        return Rates(
            peak=PeakCurve(ROWS, self.product_flops),
            bandwidth=self.copy_bandwidth,
            pointwise_bandwidth=self.pointwise_bandwidth,
            launch_s=self.node_s,
            fused=False,
        )

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "threads": self.threads,
            "product_gflops": {str(rows): rate / 1e9 for rows, rate in zip(ROWS, self.product_flops, strict=True)},
            "copy_gb_s": self.copy_bandwidth / 1e9,
            "pointwise_gb_s": self.pointwise_bandwidth / 1e9,
            "node_us": 1e6 * self.node_s,
        }


def measurements(threads: int) -> dict[str, Callable[[], float]]:
    """What is measured, by name, to be run in turn with whatever it shall explain; each gives seconds.

    Args:
        threads: Inside one operator.
    """
    source = np.zeros(COPIED_BYTES, np.uint8)
    target = np.ones_like(source)
    cases: dict[str, Callable[[], float]] = {
        f"product {rows}": _timed(_session(_products(), threads), (rows, WIDTH)) for rows in ROWS
    }
    cases["copy"] = lambda: _seconds(lambda: np.copyto(target, source))
    cases["pointwise"] = _timed(_session(_sums(CHAIN), threads), (64, WIDTH))
    cases["nodes"] = _timed(_session(_sums(NODES), threads), (1, 1))
    return cases


def measured(threads: int, times: Mapping[str, Sequence[float]]) -> Measured:
    """What comes of their times, [s]."""
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return Measured(
        threads=threads,
        product_flops=tuple(2.0 * CHAIN * rows * WIDTH**2 / medians[f"product {rows}"] for rows in ROWS),
        copy_bandwidth=2.0 * COPIED_BYTES / medians["copy"],
        pointwise_bandwidth=2.0 * CHAIN * 4 * 64 * WIDTH / medians["pointwise"],
        node_s=medians["nodes"] / NODES,
    )


def _timed(session: Any, shape: tuple[int, int]) -> Callable[[], float]:
    inputs = {"x": np.full(shape, 0.5, np.float32)}
    return lambda: _seconds(lambda: session.run(["y"], inputs))


def _seconds(action: Callable[[], object]) -> float:
    """Mean time of an action that is repeated for a while, [s]."""
    begun = time.perf_counter()
    count = 0
    while (passed := time.perf_counter() - begun) < BUSY_S or not count:
        action()
        count += 1
    return passed / count


def _session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])


def _products() -> bytes:
    """A chain of products with square matrices of weights."""
    random = np.random.default_rng(0)
    weights = [(random.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32) for _ in range(CHAIN)]
    names = [f"w{index}" for index in range(CHAIN)]
    values = ["x", *(f"v{index}" for index in range(CHAIN - 1)), "y"]
    nodes = [
        helper.make_node("Gemm", [values[index], name], [values[index + 1]], transB=1)
        for index, name in enumerate(names)
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in zip(names, weights, strict=True)]
    return _model(nodes, tensors)


def _sums(count: int) -> bytes:
    """A chain of sums of a value with the graph's input."""
    values = ["x", *(f"v{index}" for index in range(count - 1)), "y"]
    return _model([helper.make_node("Add", [values[i], "x"], [values[i + 1]]) for i in range(count)], [])


def _model(nodes: list[Any], tensors: list[Any]) -> bytes:
    shape = ["rows", "columns"]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(nodes, "measured", ends[:1], ends[1:], tensors)
    opset = helper.make_opsetid("", OPSET)
    content: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION).SerializeToString()
    return content
