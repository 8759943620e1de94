"""ONNX Runtime with inputs and outputs at fixed places on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from unichunk.runtime.policy.batching import Held
from unichunk.runtime.policy.engines.onnx_errors import ORT_ERRORS, run_complaint
from unichunk.runtime.policy.engines.onnx_value import DeviceValue, Runs, Slot, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.onnx_device import Device


class BoundOnnxRuntimeEngine:
    """A graph in ONNX Runtime on a device, with IO binding.

    Outputs have fixed places on the device. Inputs have too: arrays are copied there through page-locked memory, and
    what another engine of this kind keeps at a fixed place is read where it lies. Which inputs those are is a variant
    of the binding, with a CUDA graph of its own (run option `gpu_graph_id`), since a recorded graph reads and writes
    the addresses that it was recorded with.

    Args:
        file: The graph.
        session: It, loaded on the device.
        device: Where.
    """

    def __init__(self, file: GraphFile, session: onnxruntime.InferenceSession, device: Device) -> None:
        self._file = file
        self._session = session
        self._device = device
        self._runs = Runs()
        self._slots: dict[str, Slot] = {}
        self._variants: dict[tuple[tuple[str, int], ...], _Variant] = {}
        signature = file.signature
        self._outputs = device.call(lambda: {tensor.name: place(device, tensor) for tensor in signature.outputs})

    def run(self, inputs: Mapping[str, NDArray[Any] | Value]) -> dict[str, Value]:
        """See `Engine`.

        Raises:
            EngineError: Out of the device's memory, or another fault of the device; an input that the graph does not
                take.
        """
        try:
            return self._device.call(lambda: self._run(inputs))
        except ORT_ERRORS as error:
            raise run_complaint(self._file, error) from None

    def kept(self, outputs: Mapping[str, Value]) -> Mapping[str, Value]:
        """See `Engine`."""
        return self._device.call(
            lambda: {name: value.kept() if isinstance(value, DeviceValue) else value for name, value in outputs.items()}
        )

    def _run(self, inputs: Mapping[str, NDArray[Any] | Value]) -> dict[str, Value]:
        in_place: dict[str, DeviceValue] = {}
        for tensor in self._file.signature.inputs:
            given = _unwrapped(inputs[tensor.name])
            if isinstance(given, DeviceValue) and given.runs is not None and given.runs is not self._runs:
                given.current()
                in_place[tensor.name] = given
            else:
                if tensor.name not in self._slots:
                    self._slots[tensor.name] = Slot(self._device, tensor)
                self._slots[tensor.name].fill(given)
        variant = self._variant(in_place)
        # From here on, what earlier runs gave is no more.
        self._runs.count += 1
        self._session.run_with_iobinding(variant.binding, variant.options)
        return {tensor.name: self._output(tensor.name) for tensor in self._file.signature.outputs}

    def _variant(self, in_place: Mapping[str, DeviceValue]) -> _Variant:
        key = tuple((name, value.address) for name, value in in_place.items())
        if key not in self._variants:
            binding = self._session.io_binding()
            for tensor in self._file.signature.inputs:
                source = in_place[tensor.name] if tensor.name in in_place else self._slots[tensor.name]
                binding.bind_ortvalue_input(tensor.name, source.content)
            for name, output in self._outputs.items():
                binding.bind_ortvalue_output(name, output)
            options = onnxruntime.RunOptions()
            # 0 is ONNX Runtime's own.
            options.add_run_config_entry("gpu_graph_id", str(len(self._variants) + 1))
            self._variants[key] = _Variant(binding, options, tuple(in_place.values()))
        return self._variants[key]

    def _output(self, name: str) -> Value:
        content = self._outputs[name]
        if self._file.resident:
            tensor = next(tensor for tensor in self._file.signature.outputs if tensor.name == name)
            return DeviceValue(self._device, tensor, content, self._runs, self._runs.count)
        return Held(np.array(content.numpy()))


@dataclass(frozen=True)
class _Variant:
    """A binding.

    Attributes:
        binding: Places of all inputs and outputs.
        options: Of its runs: the CUDA graph that is recorded with these addresses.
        held: What is read where it lies; kept, so that no other tensor gets its address.
    """

    binding: Any
    options: Any
    held: tuple[DeviceValue, ...]


def _unwrapped(given: NDArray[Any] | Value) -> NDArray[Any] | DeviceValue:
    return given if isinstance(given, (np.ndarray, DeviceValue)) else given.numpy()
