"""When the first command of each chunk was sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.control_loop import CommandSink
    from unichunk.runtime.motion import RingMotion


class FirstCommands:
    """A command sink that hands everything on and notes when a chunk was sent from for the first time.

    Args:
        sink: Where commands go.
    """

    def __init__(self, sink: CommandSink) -> None:
        self._sink = sink
        self._chunk = -1
        self.motion: RingMotion | None = None
        """Whose chunk it is; to be set before the control thread begins."""
        self.sent_ns: dict[int, int] = {}
        """Chunk -> when its first command had been sent, [ns], monotonic."""

    def send(self, tick: int, q: NDArray[np.float64]) -> bool:
        """Send a command (n,) [rad]."""
        sent = self._sink.send(tick, q)
        motion = self.motion
        if sent and motion is not None and motion.seam_chunk > self._chunk:
            self._chunk = motion.seam_chunk
            self.sent_ns[self._chunk] = time.monotonic_ns()
        return sent
