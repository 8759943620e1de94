"""Tensors at fixed places on a device, in ONNX Runtime's hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from unichunk.runtime.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.onnx_device import Device
    from unichunk.runtime.policy.manifest import Tensor

ELEMENTS: Final = {"float32": 1, "int64": 7, "float16": 10, "bfloat16": 16}
"""Type in a manifest -> `onnx.TensorProto.DataType`, which ONNX Runtime takes where numpy has no such type."""


@dataclass
class Runs:
    """How often an engine ran: what it gave before the last run is overwritten."""

    count: int = 0


@dataclass(frozen=True)
class DeviceValue:
    """A tensor on a device, which the next run of the engine that gave it overwrites.

    Attributes:
        device: Where it is.
        tensor: What it is.
        content: It, in ONNX Runtime's hands.
        runs: Of the engine that gave it; None for a copy, which nothing overwrites.
        run: The one that gave it.
    """

    device: Device
    tensor: Tensor
    content: Any
    runs: Runs | None = None
    run: int = 0

    @property
    def address(self) -> int:
        """Where it begins, in the device's memory."""
        return int(self.content.data_ptr())

    def current(self) -> Any:
        """It, in ONNX Runtime's hands.

        Raises:
            EngineError: It was overwritten since.
        """
        if self.runs is not None and self.runs.count != self.run:
            raise EngineError(
                f"`{self.tensor.name}` of run {self.run} was overwritten by run {self.runs.count} of the same engine; "
                "use what a run gives before the next, or have it kept"
            )
        return self.content

    def numpy(self) -> NDArray[Any]:
        """A copy on the host; ONNX Runtime gives none of bfloat16."""
        return self.device.call(lambda: np.array(self.current().numpy()))

    def kept(self) -> DeviceValue:
        """A copy on the device that nothing overwrites; call it on the device's thread."""
        if self.runs is None:
            return self
        copy = place(self.device, self.tensor)
        copy.update_inplace(self.current())
        return DeviceValue(self.device, self.tensor, copy)


def place(device: Device, tensor: Tensor) -> Any:
    """Memory for a tensor on a device; call it on the device's thread.

    Args:
        device: Where.
        tensor: Shape and type.
    """
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
        list(tensor.shape), ELEMENTS[tensor.dtype], device.kind, device.number
    )


class Slot:
    """A fixed place on a device that an input of a graph is copied to before each run.

    Args:
        device: Where.
        tensor: The input.
    """

    def __init__(self, device: Device, tensor: Tensor) -> None:
        self.content = place(device, tensor)
        self._tensor = tensor
        self._host = None
        if tensor.dtype != "bfloat16":
            self._host = device.host_array(tensor.shape, tensor.dtype)
        self._kept: DeviceValue | None = None

    def fill(self, given: NDArray[Any] | DeviceValue) -> None:
        """Copy what is given to the device; call it on the device's thread.

        Raises:
            EngineError: Not of this shape and type.
        """
        if isinstance(given, DeviceValue):
            # A copy that nobody overwrites need not be copied twice.
            if given is not self._kept:
                self.content.update_inplace(given.current())
            self._kept = given if given.runs is None else None
            return
        self._kept = None
        array = np.asarray(given)
        if self._host is None or array.shape != self._host.shape or array.dtype != self._host.dtype:
            raise EngineError(
                f"input `{self._tensor.name}`: expected {self._tensor.dtype} of shape {self._tensor.shape}, got "
                f"{array.dtype} of shape {array.shape}"
            )
        self._host[...] = array
        self.content.update_inplace(self._host)
