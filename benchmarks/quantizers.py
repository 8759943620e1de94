"""Products with weights in 8 bits on this CPU: ONNX Runtime's blockwise (MatMulNBits) and dynamic quantization.

    unichunk bench quantizers [--json FILE] [--quick]

Time and error of one product x W^T, on one thread, for as many rows as a chunk has (16) and as a prefix may have (200),
with weights and operands whose rows and channels differ in size as trained ones do. `blocks of 32` is what
`unichunk compile --precision int8` writes: operands rounded to 8 bits in blocks of a row. `float operands` leaves them
float32. `dynamic` is `quantize_dynamic`, one scale for each output and one for all rows of the operand: so a row's
result depends on the rows beside it, and on whoever shares a batch. Needs the extra `compile`.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

NAME: Final = "quantizers"
SIZES: Final = ((6144, 1024), (1024, 3072), (2048, 2048))
"""(outputs, inputs) of products in the 2B model's size."""
ROWS: Final = (16, 200)
BASE: Final = "fp32"
HEADERS: Final = ("outputs x inputs", "rows", "product", "time [ms]", "of fp32", "error")
FIELDS: Final = ("size", "rows", "product", "median_ms", "of_fp32", "error")
"""Of a row of the table, in the document."""


@dataclass(frozen=True)
class Options:
    """Measure products with weights in 8 bits."""

    json: Path | None = None
    """Write the result to this file too."""
    quick: bool = False
    """Small products and three rounds instead of twenty."""


def main() -> None:
    """Run the benchmark."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "compile")
    rows, ratios = measure(((96, 64),) if options.quick else SIZES, 3 if options.quick else 20)
    print(markdown_table(HEADERS, rows))
    kept = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios, rows=kept))


def measure(
    sizes: tuple[tuple[int, int], ...], rounds: int
) -> tuple[list[tuple[str, int, str, float, str, float]], dict[str, Ratio]]:
    """Rows of the table, and how long each product takes, as a multiple of the one in float32.

    The error is the root mean square of the result's, as a share of the result's.
    """
    rng, table, ratios = np.random.default_rng(0), [], {}
    for outputs, inputs in sizes:
        spread = np.exp(0.5 * rng.standard_normal((outputs, 1)))
        weight = (0.02 * rng.standard_normal((outputs, inputs)) * spread).astype(np.float32)
        channels = np.exp(0.7 * rng.standard_normal((1, inputs)))
        for count in ROWS:
            x = (rng.standard_normal((count, inputs)) * channels).astype(np.float32)
            exact = x.astype(np.float64) @ weight.T.astype(np.float64)
            with tempfile.TemporaryDirectory() as folder:
                sessions = dict(_sessions(Path(folder), weight, count))
            times = interleave({name: partial(_timed, each, x) for name, each in sessions.items()}, rounds)
            for name, session in sessions.items():
                apart = session.run(None, {"x": x})[0] - exact
                size, shown = f"{outputs} x {inputs}", "1"
                if name != BASE:
                    ratio = paired_ratio(times[name], times[BASE], better="lower")
                    ratios[f"{name}, {size}, {count} rows"], shown = ratio, str(ratio)
                error = float(np.linalg.norm(apart) / np.linalg.norm(exact))
                table.append((size, count, name, 1e3 * float(np.median(times[name])), shown, error))
    return table, ratios


def _timed(session: Any, x: NDArray[np.float32]) -> float:
    """Processor time of a run, [s]: others are on this machine too."""
    begin = time.process_time()
    session.run(None, {"x": x})
    return time.process_time() - begin


def _sessions(folder: Path, weight: NDArray[np.float32], count: int) -> Iterator[tuple[str, Any]]:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  (the extra)

    from unichunk.runtime.compile.block_weights import BLOCK, quantized  # noqa: PLC0415  (the extra)

    outputs, inputs = weight.shape
    shapes = (count, inputs), (count, outputs)
    yield BASE, _session(_written(folder / "wide", "Gemm", {"w": weight}, shapes, transB=1))
    stored, scales = quantized(weight)
    sizes = {"K": inputs, "N": outputs, "bits": 8, "block_size": BLOCK, "domain": "com.microsoft"}
    for label, level in (("blocks of 32", 4), ("blocks of 32, float operands", 1)):
        constants: dict[str, NDArray[Any]] = {"q": stored, "s": scales}
        path = _written(folder / f"blocks{level}", "MatMulNBits", constants, shapes, accuracy_level=level, **sizes)
        yield label, _session(path)
    plain = _written(folder / "plain", "MatMul", {"w": np.ascontiguousarray(weight.T)}, shapes)
    quantize_dynamic(plain, folder / "dynamic", per_channel=True, weight_type=QuantType.QInt8)
    yield "dynamic", _session(folder / "dynamic")


def _written(
    path: Path, kind: str, constants: Mapping[str, NDArray[Any]], shapes: tuple[tuple[int, int], ...], **attributes: Any
) -> Path:
    """A graph of one product, y of x."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  (the extra)

    node = helper.make_node(kind, ["x", *constants], ["y"], **attributes)
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip("xy", shapes, strict=True)
    )
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], kind, [x], [y], weights), opset_imports=opsets, ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
