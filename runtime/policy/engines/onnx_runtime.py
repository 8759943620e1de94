"""ONNX Runtime on the CPU: the default engine, and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

from unichunk.runtime.policy.engines.graph_file import GraphFile
from unichunk.runtime.policy.engines.onnx_errors import ORT_ERRORS, load_complaint
from unichunk.runtime.policy.engines.onnx_session import CPU_PROVIDER, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value
    from unichunk.runtime.policy.manifest import Graph


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime on the CPU.

    Args:
        path: The ONNX file; its external weights are beside it.
        graph: Its signature in the bundle; the file must have it.
        precision: Of its weights and arithmetic, for error messages.
        threads: Threads inside one operator.

    Raises:
        BundleError: Where the file is no graph, or not the one that the bundle describes, or of a precision that the
            CPU has no arithmetic for.
    """

    def __init__(self, path: Path, graph: Graph, *, precision: str = "fp32", threads: int = 1) -> None:
        file = GraphFile(path, graph, precision)
        try:
            self._session = open_session(file, [(CPU_PROVIDER, {})], threads)
        except ORT_ERRORS as error:
            raise load_complaint(file, error, "this CPU") from None
        self._outputs = [output.name for output in graph.outputs]
        self._inputs = [tensor.name for tensor in graph.inputs]

    def run(self, inputs: Mapping[str, NDArray[Any] | Value]) -> dict[str, onnxruntime.OrtValue]:
        """Inputs by name -> outputs by name; inputs that the graph does not have are left out.

        Nothing is copied: an array is read where it lies, an output of another graph stays where it is.
        """
        values = {name: _value(inputs[name]) for name in self._inputs}
        outputs = self._session.run_with_ort_values(self._outputs, values)
        return dict(zip(self._outputs, outputs, strict=True))

    def kept(self, outputs: Mapping[str, Value]) -> Mapping[str, Value]:
        """See `Engine`: every run gives new ones."""
        return outputs


def _value(given: Any) -> Any:
    if isinstance(given, onnxruntime.OrtValue):
        return given
    return onnxruntime.OrtValue.ortvalue_from_numpy(given)
