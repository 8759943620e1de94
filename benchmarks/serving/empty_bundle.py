"""A bundle that takes two views of 224 x 224 pixels and computes nothing: what a served bundle costs besides inference.

Needs the extra `compile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.serving.observations import SIDE
from unichunk.runtime.policy.bundle import staged_bundle
from unichunk.runtime.policy.manifest import (
    FORMAT_VERSION,
    ChunkGraph,
    Graph,
    Graphs,
    ImageInput,
    Key,
    Manifest,
    MinMax,
    RobotEntry,
    Tensor,
)
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

ROBOT: Final = "empty"
CAMERAS: Final = ("left", "wrist")
ROWS: Final = 16
OPSET: Final = 17

IMAGES: Final = Tensor(name="images", shape=(len(CAMERAS), 3, SIDE, SIDE), dtype="float32")
STATE: Final = Tensor(name="state", shape=(1, UNIFIED_WIDTH), dtype="float32")
SEEN: Final = Tensor(name="seen", shape=(1, UNIFIED_WIDTH), dtype="float32")
NOISE: Final = Tensor(name="noise", shape=(1, ROWS, UNIFIED_WIDTH), dtype="float32")
PREVIOUS: Final = Tensor(name="previous_chunk", shape=(ROWS, UNIFIED_WIDTH), dtype="float32")
DELAY: Final = Tensor(name="delay", shape=(), dtype="int64")
ACTIONS: Final = Tensor(name="actions", shape=(ROWS, UNIFIED_WIDTH), dtype="float32")


def write_empty_bundle(folder: Path) -> None:
    """Write it.

    Args:
        folder: Where; must not exist yet.
    """
    prefix = Graph(file="prefix.onnx", inputs=(IMAGES, STATE), outputs=(SEEN,))
    chunk = ChunkGraph(
        file="chunk.onnx", inputs=(NOISE, PREVIOUS, DELAY, SEEN), outputs=(ACTIONS,), refinement_rounds=0
    )
    with staged_bundle(folder) as staged:
        (staged.folder / prefix.file).write_bytes(_prefix(prefix).SerializeToString())
        (staged.folder / chunk.file).write_bytes(_chunk(chunk).SerializeToString())
        staged.finish(_manifest(prefix, chunk))


def _prefix(graph: Graph) -> onnx.ModelProto:
    """The state as it is; of the pictures, nothing."""
    from onnx import helper  # noqa: PLC0415  (the extra)

    return _model(graph, [helper.make_node("Identity", [STATE.name], [SEEN.name])], {})


def _chunk(graph: Graph) -> onnx.ModelProto:
    """Locked rows as they are, zeros after them."""
    from onnx import helper  # noqa: PLC0415  (the extra)

    nodes = [
        helper.make_node("Less", ["row", DELAY.name], ["is_locked"]),
        helper.make_node("Where", ["is_locked", PREVIOUS.name, "zero"], [ACTIONS.name]),
    ]
    return _model(graph, nodes, {"row": np.arange(ROWS, dtype=np.int64)[:, None], "zero": np.zeros((), np.float32)})


def _model(graph: Graph, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  (the extra)

    types = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    inputs, outputs = (
        [helper.make_tensor_value_info(tensor.name, types[tensor.dtype], tensor.shape) for tensor in tensors]
        for tensors in (graph.inputs, graph.outputs)
    )
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, graph.file.partition(".")[0], inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _manifest(prefix: Graph, chunk: ChunkGraph) -> Manifest:
    def key(begin: int, width: int) -> Key:
        return Key(slots=(begin, begin + width), normalization=MinMax(low=(-3.0,) * width, high=(3.0,) * width))

    keys = {"arm_joints": key(50, 7), "gripper": key(18, 1)}
    robot = RobotEntry(cameras=CAMERAS, state=keys, action=keys, action_hz=20, max_delay=ROWS // 2)
    return Manifest(
        format_version=FORMAT_VERSION,
        name="empty",
        description="Takes two views and answers zeros; for measurements.",
        chunk_length=ROWS,
        unified_width=UNIFIED_WIDTH,
        denoising_steps=1,
        image=ImageInput(size=SIDE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        language=None,
        noise="own",
        robots={ROBOT: robot},
        graphs=Graphs(prefix=prefix, chunks=(chunk,)),
    )
