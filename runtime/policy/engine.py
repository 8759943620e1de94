"""Engines run compiled graphs. ONNX Runtime on the CPU is the default and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import REMEDY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Graph


# ONNX Runtime's own errors have no common root below Exception.
_LOAD_ERRORS: Final[tuple[type[Exception], ...]] = (
    OSError,
    RuntimeError,
    *(
        error
        for error in vars(onnxruntime_pybind11_state).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
)


class Engine(Protocol):
    """One compiled graph, ready to run."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs by name -> outputs by name."""
        ...


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime on the CPU.

    Args:
        path: The ONNX file.
        graph: Its signature in the bundle; the file must have it.
        threads: Threads inside one operator.

    Raises:
        BundleError: Where the file is no graph, or not the one that the bundle describes.
    """

    def __init__(self, path: Path, graph: Graph, *, threads: int = 1) -> None:
        # A robot's runtime reports to nobody.
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning workers would take a core from the control thread between inferences.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except _LOAD_ERRORS as error:
            first_line = str(error).splitlines()[0]
            raise BundleError(
                f"{path}: not a graph that ONNX Runtime {onnxruntime.__version__} can run: {first_line}; {REMEDY}"
            ) from None
        self._outputs = [output.name for output in graph.outputs]
        self._inputs = [tensor.name for tensor in graph.inputs]
        _compare(path, graph, self._session)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs by name -> outputs by name; inputs that the graph does not have are left out."""
        values = self._session.run(self._outputs, {name: inputs[name] for name in self._inputs})
        return dict(zip(self._outputs, values, strict=True))


def _compare(path: Path, graph: Graph, session: Any) -> None:
    types = {"float32": "tensor(float)", "int64": "tensor(int64)"}
    for kind, declared, found in (
        ("input", graph.inputs, session.get_inputs()),
        ("output", graph.outputs, session.get_outputs()),
    ):
        actual = {item.name: (tuple(item.shape), item.type) for item in found}
        for tensor in declared:
            expected = (tensor.shape, types[tensor.dtype])
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
