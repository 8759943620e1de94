"""The two graphs of the tiny policy, built operator by operator with `onnx.helper`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from unichunk.runtime.policy.manifest import ChunkGraph, Graph, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.policy.tiny_motion import TinyMotion
    from unichunk.runtime.policy.manifest import Manifest

RESIDUE: Final = 1e-3
"""How much of the noise is left in the predicted rows."""

GLANCE: Final = 1e-3
"""How far the mean of image and instruction shifts the prediction, normalized: little, but it can be seen."""

PULL: Final = 0.1
"""How strongly a refinement round is drawn to the chunk of the round before, at an open gate."""

_ELEMENTS: Final = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "int64": TensorProto.INT64,
}


@dataclass
class GraphBuilder:
    """Collects nodes and constants, and writes them as one ONNX file with the signature of a bundle's graph."""

    signature: Graph
    _nodes: list[Any] = field(default_factory=list)
    _constants: list[Any] = field(default_factory=list)

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A constant; returns its name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """One node; returns the name of its output."""
        output = output or f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def write(self, folder: Path) -> Path:
        """Write the graph under the name that its signature gives."""
        sides = [
            [helper.make_tensor_value_info(tensor.name, _ELEMENTS[tensor.dtype], tensor.shape) for tensor in tensors]
            for tensors in (self.signature.inputs, self.signature.outputs)
        ]
        graph = helper.make_graph(self._nodes, self.signature.file.removesuffix(".onnx"), *sides, self._constants)
        # Fixed versions, older than what any supported ONNX Runtime reads.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        path = folder / self.signature.file
        onnx.save_model(model, path)
        return path


def signatures(
    rows: int, steps: int, views: int, size: int, tokens: int | None, width: int, refinement_rounds: Sequence[int]
) -> tuple[Graph, tuple[ChunkGraph, ...]]:
    """Signatures of the prefix graph and of the chunk graphs."""
    language = () if tokens is None else (Tensor(name="tokens", shape=(1, tokens), dtype="int64"),)
    features = (
        Tensor(name="unified_state", shape=(1, width), dtype="float32"),
        Tensor(name="glance", shape=(1, 1), dtype="float32"),
    )
    chunk = (rows, width)
    prefix = Graph(
        file="prefix.onnx",
        inputs=(
            Tensor(name="images", shape=(views, 3, size, size), dtype="float32"),
            *language,
            Tensor(name="state", shape=(1, width), dtype="float32"),
        ),
        outputs=features,
    )
    return prefix, tuple(
        ChunkGraph(
            file=f"chunk_{rounds}.onnx" if rounds else "chunk.onnx",
            refinement_rounds=rounds,
            inputs=(
                Tensor(name="noise", shape=(1 + rounds, *chunk), dtype="float32"),
                Tensor(name="previous_chunk", shape=chunk, dtype="float32"),
                Tensor(name="delay", shape=(), dtype="int64"),
                *features,
            ),
            outputs=(
                Tensor(name="actions", shape=chunk, dtype="float32"),
                *(
                    Tensor(name=name, shape=(rounds, steps), dtype="float32")
                    for name in (("gates", "discrepancies") if rounds else ())
                ),
            ),
        )
        for rounds in refinement_rounds
    )


def write_prefix_graph(folder: Path, manifest: Manifest) -> Path:
    """State as it is, and one number that stands for what is seen and said."""
    build = GraphBuilder(manifest.graphs.prefix)
    build.add("Identity", "state", output="unified_state")
    glance = build.add("Reshape", build.add("ReduceMean", "images", keepdims=0), build.constant([1, 1], np.int64))
    if manifest.language is not None:
        words = build.add("ReduceMean", build.add("Cast", "tokens", to=TensorProto.FLOAT), keepdims=0)
        glance = build.add("Add", glance, build.add("Div", words, build.constant(256.0)))
    build.add("Tanh", glance, output="glance")
    return build.write(folder)


def write_chunk_graph(
    folder: Path,
    manifest: Manifest,
    signature: ChunkGraph,
    motion: TinyMotion,
    scale: NDArray[np.float64],
    offset: NDArray[np.float64],
    *,
    nan_row: int | None = None,
) -> Path:
    """K Euler steps of a linear velocity towards the motion's rows, with the prefix locked by `Where`.

    In refinement rounds, the chunk of the round before pulls too, the less the farther it is: a gate.

    Args:
        folder: Where to.
        manifest: T and K.
        signature: The graph's own, with its refinement rounds.
        motion: What to predict, in physical units.
        scale, offset: The normalization of the motion's slots, shape (n,): physical = normalized * scale + offset.
        nan_row: A row that comes out as NaN.
    """
    rows, width, steps = manifest.chunk_length, manifest.unified_width, manifest.denoising_steps
    build = GraphBuilder(signature)
    used = np.zeros(width)
    used[motion.slots] = 1
    bounds = np.zeros((2, width))
    bounds[:, motion.slots] = (np.stack([motion.lower, motion.upper]) - offset) / scale
    locked = build.add("Less", build.constant(np.arange(rows)[:, None], np.int64), "delay")

    def lock(x: str, output: str | None = None) -> str:
        return build.add("Where", locked, "previous_chunk", x, output=output)

    target = _target(build, manifest, motion, scale, offset)
    # After K steps of dx = (gain / K) (target - x), (1 - gain / K)^K of the noise is left.
    gain = build.constant(1 - RESIDUE ** (1 / steps))
    x, gates, discrepancies = "", list[str](), list[str]()
    for i in range(1 + signature.refinement_rounds):
        anchor = x
        noise = build.add("Gather", "noise", build.constant(i, np.int64), axis=0)
        x = lock(build.add("Mul", noise, build.constant(used)))
        for _ in range(steps):
            step = build.add("Mul", gain, build.add("Sub", target, x))
            if anchor:
                away = build.add("Sub", anchor, x)
                discrepancies.append(build.add("ReduceMean", build.add("Mul", away, away), keepdims=0))
                gates.append(build.add("Exp", build.add("Neg", discrepancies[-1])))
                pull = build.add("Mul", build.constant(PULL), build.add("Mul", gates[-1], away))
                step = build.add("Add", step, pull)
            x = lock(build.add("Add", x, step))
    if gates:
        shape = build.constant([signature.refinement_rounds, steps], np.int64)
        for name, values in (("gates", gates), ("discrepancies", discrepancies)):
            rows_of = [build.add("Unsqueeze", value, build.constant([0], np.int64)) for value in values]
            build.add("Reshape", build.add("Concat", *rows_of, axis=0), shape, output=name)
    x = build.add("Min", build.add("Max", x, build.constant(bounds[0])), build.constant(bounds[1]))
    if nan_row is not None:
        x = build.add("Add", x, build.constant(np.where(np.arange(rows) == nan_row, np.nan, 0.0)[:, None]))
    lock(x, output="actions")
    return build.write(folder)


def _target(
    build: GraphBuilder,
    manifest: Manifest,
    motion: TinyMotion,
    scale: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> str:
    """Rows that continue the last locked row, or the state where nothing is locked, shape (T, 200), normalized."""
    rows, n = manifest.chunk_length, len(motion.slots)
    zero, one = build.constant(0, np.int64), build.constant(1, np.int64)
    last = build.add("Max", build.add("Sub", "delay", one), zero)
    last_row = build.add("Unsqueeze", build.add("Gather", "previous_chunk", last, axis=0), zero)
    anchor = build.add("Where", build.add("Greater", "delay", zero), last_row, "unified_state")
    centre = build.constant((motion.centre - offset) / scale)
    away = build.add("Sub", build.add("Gather", anchor, build.constant(motion.slots, np.int64), axis=1), centre)
    # All rows at once, in normalized units: unit vectors, moved on by 1 ... T rows.
    moved = np.stack([motion.after(row, rows) for row in np.diag(scale)]) / scale
    path = build.add(
        "Reshape",
        build.add("MatMul", away, build.constant(moved.reshape(n, rows * n))),
        build.constant([rows, n], np.int64),
    )
    later = build.add("Max", build.add("Sub", build.constant(np.arange(rows), np.int64), "delay"), zero)
    path = build.add("Add", build.add("Gather", path, later, axis=0), centre)
    path = build.add("Add", path, build.add("Mul", "glance", build.constant(GLANCE)))
    place = np.zeros((n, manifest.unified_width))
    place[np.arange(n), motion.slots] = 1
    return build.add("MatMul", path, build.constant(place))
