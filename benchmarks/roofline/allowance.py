"""What a latency holds besides the graphs: stated assumptions, not measurements of the device that is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Allowance:
    """Parts of the latency from the capture of a picture to readable rows, apart from the graphs, [s].

    Attributes:
        capture_s: Exposure, readout and transport of a picture.
        preprocess_per_view_s: Resizing and normalizing one picture on the device's processor; two pictures of
            480 x 640 took 4.5 ms on one core of a server (`unichunk bench caching`), twice that on a Jetson's.
        decode_s: Chunk to joint targets, inverse kinematics included, and their publication.
        whole_s: Instead of all of these where it is given.
    """

    capture_s: float = 0.010
    preprocess_per_view_s: float = 0.005
    decode_s: float = 0.005
    whole_s: float | None = None

    def seconds(self, views: int, inference_s: float, fps: int) -> float:
        """All of it, [s].

        An inference that is shorter than the time between two pictures waits for the next one and starts when it
        comes; a longer one starts on the newest picture, which may be one such time old.

        Args:
            views: Pictures.
            inference_s: Both graphs, [s].
            fps: Pictures a second.
        """
        if self.whole_s is not None:
            return self.whole_s
        busy = self.preprocess_per_view_s * views + inference_s + self.decode_s
        waited = 1.0 / fps if busy > 1.0 / fps else 0.0
        return self.capture_s + waited + self.preprocess_per_view_s * views + self.decode_s

    def sentence(self) -> str:
        """For people."""
        if self.whole_s is not None:
            return f"allowance besides the graphs, as asked: {1e3 * self.whole_s:g} ms"
        return (
            f"allowance besides the graphs, an assumption: {1e3 * self.capture_s:g} ms for capture and transport, "
            f"{1e3 * self.preprocess_per_view_s:g} ms a picture for preprocessing, {1e3 * self.decode_s:g} ms for "
            "decoding and inverse kinematics; and one period of the camera where an inference takes longer than that, "
            "as it then starts on a picture that may be so old"
        )

    def row(self) -> dict[str, Any]:
        """As plain values, [ms]."""
        if self.whole_s is not None:
            return {"assumption": True, "whole_ms": 1e3 * self.whole_s, "in_words": self.sentence()}
        return {
            "assumption": True,
            "capture_ms": 1e3 * self.capture_s,
            "preprocess_per_view_ms": 1e3 * self.preprocess_per_view_s,
            "decode_ms": 1e3 * self.decode_s,
            "in_words": self.sentence(),
        }
