"""Watches what the cameras deliver: stale streams and pictures that never change."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from unichunk.runtime.observation import CameraFrame, Observation


class SensorHealth:
    """Says what is wrong with the observations, if anything.

    A live camera never delivers the same picture twice, bit by bit, for long: its sensor has noise. One that does is
    a capture that hangs behind fresh stamps.

    Args:
        max_age_s: An observation older than this must not be acted on, [s].
        frozen_s: The same picture for this long is taken for a frozen camera, [s].
    """

    def __init__(self, max_age_s: float, frozen_s: float) -> None:
        self._max_age_ns = int(max_age_s * 1e9)
        self._frozen_ns = int(frozen_s * 1e9)
        self._pictures: dict[str, tuple[int, int, int]] = {}

    def reset(self) -> None:
        """Forget the pictures seen so far."""
        self._pictures.clear()

    def problem(self, observation: Observation | None, now_ns: int, waiting_since_ns: int) -> str | None:
        """What is wrong with the newest observation, in one line, or None.

        Args:
            observation: The newest one, or None where there was none yet.
            now_ns: Now, [ns].
            waiting_since_ns: Since when one has been waited for, [ns].
        """
        if observation is None:
            waited = now_ns - waiting_since_ns
            return f"no observation for {waited / 1e9:.1f} s" if waited > self._max_age_ns else None
        for name, frame in observation.frames.items():
            age = now_ns - frame.stamp_ns
            if age > self._max_age_ns:
                limit = self._max_age_ns / 1e9
                return f"camera {name}: its last frame is {age / 1e9:.1f} s old, at most {limit:.1f} s is acted on"
            since = self._unchanged_since(name, frame)
            if frame.stamp_ns - since > self._frozen_ns:
                return f"camera {name}: the same picture for {(frame.stamp_ns - since) / 1e9:.1f} s, it is frozen"
        age = now_ns - observation.state.stamp_ns
        if age > self._max_age_ns:
            return f"joint state: {age / 1e9:.1f} s old, at most {self._max_age_ns / 1e9:.1f} s is acted on"
        return None

    def all_changed(self, since_ns: int) -> bool:
        """True where every camera's picture has changed after a moment, [ns]."""
        return bool(self._pictures) and all(changed > since_ns for _, _, changed in self._pictures.values())

    def _unchanged_since(self, name: str, frame: CameraFrame) -> int:
        known = self._pictures.get(name)
        if known is not None and known[0] == frame.sequence:
            return known[2]
        digest = zlib.crc32(np.ascontiguousarray(frame.image).data)
        since = known[2] if known is not None and known[1] == digest else frame.stamp_ns
        self._pictures[name] = (frame.sequence, digest, since)
        return since
