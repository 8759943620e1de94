"""One control step: sample, guard, send, record. No clock, no thread, no sleep: time is passed in."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import numpy as np

from unichunk.runtime.control_telemetry import ControlTelemetry
from unichunk.runtime.motion import Hold, Motion, RingMotion
from unichunk.runtime.tick_status import TickStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.guard import Guard


class CommandSink(Protocol):
    """Takes joint commands towards the robot."""

    def send(self, tick: int, q: NDArray[np.float64]) -> bool:
        """Send a command (n,) [rad] without blocking or raising; False where it could not be sent."""
        ...


class ControlLoop:
    """The consumer: turns the current motion into guarded commands.

    Nothing is sent before the first `restart` and after `silence`. `motion` may be replaced by another thread at any
    time (one reference, read once a step).

    Args:
        guard: Limits; holds the state of the command stream.
        sink: Where commands go.
    """

    def __init__(self, guard: Guard, sink: CommandSink) -> None:
        self.guard = guard
        self.motion: Motion = Hold()
        self.telemetry = ControlTelemetry(len(guard.command))
        self._sending = False
        self._restarts: deque[tuple[NDArray[np.float64], Motion]] = deque(maxlen=1)
        self._sink = sink
        self._target: NDArray[np.float64] = np.zeros(len(guard.command))

    def restart(self, q: NDArray[np.float64], motion: Motion) -> None:
        """Begin a new command stream at the next step: at rest at `q`, shape (n,), [rad], then along `motion`."""
        self._restarts.append((q.copy(), motion))

    def silence(self) -> None:
        """Send nothing more until the next `restart`."""
        self.motion = Hold()
        self._sending = False

    @property
    def at_rest(self) -> bool:
        """True while the command stream does not move."""
        return not self.guard.velocity.any()

    def step(self, step: int, due_ns: int, now_ns: int) -> TickStatus:
        """Run one control step.

        Args:
            step: Number of the step in the control thread's count.
            due_ns: When it was due, [ns].
            now_ns: When it began, [ns].
        """
        guard = self.guard
        if self._restarts:
            q, self.motion = self._restarts.pop()
            guard.reset(q)
            self._sending = True
        if not self._sending:
            return TickStatus.HOLDING
        motion = self.motion
        status = motion.sample(step, self._target)
        intervened = False
        if status is TickStatus.HOLDING:
            guard.brake()
        else:
            intervened = guard.filter(self._target)
        sent = self._sink.send(step, guard.command)
        chunk = motion.seam_chunk if isinstance(motion, RingMotion) else -1
        self.telemetry.record(step, due_ns, now_ns - due_ns, status, chunk, guard, intervened=intervened, sent=sent)
        return status
