"""ONNX Runtime on the CPU: the default engine, and the reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import REMEDY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value
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
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except onnxruntime_pybind11_state.NotImplemented as error:
            raise BundleError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot compute it in {precision} on this CPU "
                f"({_reason(error)}); compile the checkpoint with --precision fp32"
            ) from None
        except _LOAD_ERRORS as error:
            raise BundleError(
                f"{path}: not a graph that ONNX Runtime {onnxruntime.__version__} can run: {_reason(error)}; {REMEDY}"
            ) from None
        self._outputs = [output.name for output in graph.outputs]
        self._inputs = [tensor.name for tensor in graph.inputs]
        _compare(path, graph, self._session)

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


_TYPES: Final = {
    "float32": "tensor(float)",
    "float16": "tensor(float16)",
    "bfloat16": "tensor(bfloat16)",
    "int64": "tensor(int64)",
}
"""ONNX Runtime's names of the types in a manifest."""


def _value(given: Any) -> Any:
    if isinstance(given, onnxruntime.OrtValue):
        return given
    return onnxruntime.OrtValue.ortvalue_from_numpy(given)


def _reason(error: Exception) -> str:
    """What ONNX Runtime complains of, in one line, without the places in its sources."""
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"/\S+\.(?:cc|h):\d+ .*?\([^()]*\) ", " ", first_line)


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
