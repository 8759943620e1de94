"""An inference thread beside the loop: a policy's graphs back to back, as its users run them.

Only numpy and ONNX Runtime: this runs in the environments of others, on their versions of numpy.
"""

from __future__ import annotations

import math
import threading
from array import array
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGE: Final = (96, 96, 3)
CHANNELS_FIRST: Final = (3, 96, 96)
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
TYPES: Final = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
DELAY: Final = 4


class InferenceLoad:
    """Runs prefix and chunk graph again and again while it is on.

    Args:
        bundle: Folder of the policy.
        python: Whether each inference is preceded by preprocessing in plain Python: one image, pixel by pixel.
    """

    def __init__(self, bundle: Path, *, python: bool) -> None:
        self._prefix, self._chunk = (_session(bundle / name) for name in ("prefix.onnx", "chunk.onnx"))
        random = np.random.default_rng(0)
        inputs = {item.name: item for session in (self._chunk, self._prefix) for item in session.get_inputs()}
        made = {output.name for output in self._prefix.get_outputs()}
        self._values = {name: _value(item, random) for name, item in inputs.items() if name not in made}
        self._image = random.integers(0, 256, IMAGE).tolist()
        self._pixels = array("f", bytes(4 * math.prod(IMAGE)))
        self._python = python
        self._on = threading.Event()
        self._lock = threading.Lock()
        self.inferences = 0
        """How many were done so far."""
        self._infer()

    def start(self, between: Callable[[], object]) -> None:
        """Start the thread, switched off.

        Args:
            between: Called after every inference.
        """
        threading.Thread(target=self._work, args=(between,), name="inference", daemon=True).start()

    def __enter__(self) -> None:
        """Switch it on."""
        self._on.set()

    def __exit__(self, *_: object) -> None:
        """Switch it off and wait for the inference that is under way."""
        self._on.clear()
        with self._lock:
            pass

    def _work(self, between: Callable[[], object]) -> None:
        while self._on.wait():
            with self._lock:
                self._infer()
                self.inferences += 1
                between()

    def _infer(self) -> None:
        values = dict(self._values)
        if self._python:
            _normalize(self._image, self._pixels)
            values["images"] = np.frombuffer(self._pixels, np.float32).reshape(1, *CHANNELS_FIRST)
        values.update(_run(self._prefix, values))
        _run(self._chunk, values)


def _session(path: Path) -> Any:
    """A session with the runtime's own options: one thread, no spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])


def _value(item: Any, random: Any) -> Any:
    """Something of an input's shape and type; what it says does not matter to how long the graph takes."""
    kind = TYPES[item.type]
    if kind is np.int64:
        return np.full(item.shape, DELAY if item.name == "delay" else 1, kind)
    return random.standard_normal(item.shape).astype(kind)


def _run(session: Any, values: dict[str, Any]) -> dict[str, Any]:
    outputs = session.run(None, {item.name: values[item.name] for item in session.get_inputs()})
    return dict(zip([item.name for item in session.get_outputs()], outputs))  # noqa: B905  of one session


def _normalize(image: list[list[list[int]]], pixels: array[float]) -> None:
    """Every channel of every pixel, in plain Python: several milliseconds that hold the interpreter.

    Loops alone, which the interpreter can leave between any two pixels; no library call that could not be left.

    Args:
        image: (H, W, 3) values from 0 to 255.
        pixels: Gets them normalized, as (3, H, W).
    """
    plane = len(pixels) // 3
    at = 0
    for row in image:
        for pixel in row:
            for channel in range(3):
                pixels[channel * plane + at] = (pixel[channel] / 255.0 - MEAN[channel]) / STD[channel]
            at += 1
