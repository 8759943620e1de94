"""The recent states, so that a frame can be paired with the one measured closest to it."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.embodiments.link.messages import State


class StateHistory:
    """Written by the control loop, read by the cameras' threads.

    Args:
        length: How many states are kept.
    """

    def __init__(self, length: int) -> None:
        self._states: deque[State] = deque(maxlen=length)
        self._lock = threading.Lock()

    def add(self, state: State) -> None:
        """Add a state, newer than all before."""
        with self._lock:
            self._states.append(state)

    def closest(self, stamp_ns: int) -> State | None:
        """The state whose stamp is closest, [ns]; None before the first."""
        with self._lock:
            states = tuple(self._states)
        if not states:
            return None
        after = bisect_left(states, stamp_ns, key=lambda state: state.stamp_ns)
        candidates = states[max(0, after - 1) : after + 1]
        return min(candidates, key=lambda state: abs(state.stamp_ns - stamp_ns))
