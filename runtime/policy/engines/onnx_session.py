"""A graph loaded into ONNX Runtime, found to be the one that its bundle describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import onnxruntime

from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import REMEDY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.manifest import Graph

CPU_PROVIDER: Final = "CPUExecutionProvider"

_TYPES: Final = {
    "float32": "tensor(float)",
    "float16": "tensor(float16)",
    "bfloat16": "tensor(bfloat16)",
    "int64": "tensor(int64)",
}
"""ONNX Runtime's names of the types in a manifest."""


def open_session(
    file: GraphFile, providers: Sequence[tuple[str, Mapping[str, str]]], threads: int = 1
) -> onnxruntime.InferenceSession:
    """Load a graph.

    Args:
        file: The graph.
        providers: Execution providers with their options, the preferred first.
        threads: Threads inside one operator, on the CPU.

    Raises:
        BundleError: It has not the inputs and outputs that the bundle describes.
        Exception: One of `ORT_ERRORS`: ONNX Runtime cannot load it so.
    """
    # A robot's runtime reports to nobody.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning workers would take a core from the control thread between inferences.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without the fallback: what computes elsewhere in silence is later than anybody expects.
    session = onnxruntime.InferenceSession(
        str(file.path),
        sess_options=options,
        providers=[(name, dict(chosen)) for name, chosen in providers],
        enable_fallback=0,
    )
    session.disable_fallback()
    _compare(file.path, file.signature, session)
    return session


def _compare(path: Path, graph: Graph, session: Any) -> None:
    for kind, declared, found in (
        ("input", graph.inputs, session.get_inputs()),
        ("output", graph.outputs, session.get_outputs()),
    ):
        actual = {item.name: (tuple(item.shape), item.type) for item in found}
        for tensor in declared:
            expected = (tensor.shape, _TYPES[tensor.dtype])
            if tensor.name not in actual:
                raise BundleError(
                    f"{path}: {kind} `{tensor.name}` is in bundle.json, the graph has {sorted(actual)}; {REMEDY}"
                )
            if actual[tensor.name] != expected:
                raise BundleError(
                    f"{path}: {kind} `{tensor.name}` is {actual[tensor.name]}, bundle.json says {expected}; {REMEDY}"
                )
        extra = sorted(set(actual) - {tensor.name for tensor in declared})
        if extra and kind == "input":
            raise BundleError(f"{path}: the graph needs inputs {extra} that bundle.json does not describe; {REMEDY}")
