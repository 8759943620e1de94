"""One control step: sample, guard, send, record. No clock, no thread, no sleep: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from unichunk.runtime.control_telemetry import ControlTelemetry
from unichunk.runtime.motion import Hold, Motion, RingMotion
from unichunk.runtime.tick_status import TickStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.command_recording import CommandRecording
    from unichunk.runtime.guard import Guard
    from unichunk.runtime.ticks import Timebase


class CommandSink(Protocol):
    """Takes joint commands towards the robot."""

    def send(self, tick: int, q: NDArray[np.float64]) -> bool:
        """Send a command (n,) [rad] without blocking or raising; False where it could not be sent."""
        ...


@dataclass(frozen=True, eq=False)
class _Stream:
    """A command stream; compared by identity.

    Attributes:
        start: Where it begins, at rest, shape (n,), [rad].
    """

    start: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Order:
    """What the loop shall do from its next step on; compared by identity.

    Attributes:
        motion: Where targets come from.
        stream: The stream that commands belong to: an order over one that was not taken up yet keeps its stream, so
            that it begins where the robot stands all the same. None where nothing shall be sent.
    """

    motion: Motion
    stream: _Stream | None


class ControlLoop:
    """The consumer: turns a motion into guarded commands.

    One other thread, the supervisor's, gives orders: `restart`, `follow`, `hold`, `silence`. The newest order counts,
    also over one that was not taken up yet, so a hold can never be followed by an older ramp, and a hold over a restart
    holds where that stream begins. Nothing is sent before the first `restart` and after `silence`.

    Args:
        guard: Limits; holds the state of the command stream.
        sink: Where commands go.
        timebase: Maps control steps to ticks.
    """

    def __init__(self, guard: Guard, sink: CommandSink, timebase: Timebase) -> None:
        self.guard = guard
        self.telemetry = ControlTelemetry(len(guard.command))
        self.recording: CommandRecording | None = None
        """Gets every command that was sent, where one is asked for."""
        self._sink = sink
        self._timebase = timebase
        self._order = _Order(Hold(), None)
        self._taken = self._order
        self._stream: _Stream | None = None
        self._target: NDArray[np.float64] = np.zeros(len(guard.command))

    def restart(self, q: NDArray[np.float64], motion: Motion) -> None:
        """Begin a new command stream, at rest at `q`, shape (n,), [rad], then along `motion`.

        Raises:
            ValueError: Where `q` is not finite.
        """
        if not np.isfinite(q).all():
            raise ValueError(f"q: expected finite joint positions, got {q.tolist()}")
        self._order = _Order(motion, _Stream(q.copy()))

    def follow(self, motion: Motion) -> None:
        """Go on along another motion."""
        self._order = _Order(motion, self._order.stream)

    def hold(self) -> None:
        """Brake to rest and stay."""
        self.follow(Hold())

    def silence(self) -> None:
        """Send nothing more until the next `restart`."""
        self._order = _Order(Hold(), None)

    @property
    def settled(self) -> bool:
        """True once the newest order was taken up and the command stream is at rest (or silent)."""
        return self.taken_up and (self._taken.stream is None or self.guard.resting)

    @property
    def taken_up(self) -> bool:
        """True once the newest order was taken up: from then on the guard's command is of its stream."""
        return self._taken is self._order

    def step(self, step: int, due_ns: int, now_ns: int, missed: int = 0) -> TickStatus:
        """Run one control step.

        Args:
            step: Number of the step in the control thread's count.
            due_ns: When the oldest step that was not run yet was due, [ns].
            now_ns: When this one began, [ns].
            missed: Steps left out since the last one, because the thread was late.
        """
        order, guard = self._order, self.guard
        if order.stream is not None and order.stream is not self._stream:
            guard.reset(order.stream.start)
            self._stream = order.stream
        self._taken = order
        if order.stream is None:
            return TickStatus.HOLDING
        if missed:
            guard.coast(missed)
        status = order.motion.sample(step, self._target)
        intervened = False
        if status is TickStatus.HOLDING:
            guard.brake()
        else:
            intervened = guard.filter(self._target)
        sent = self._sink.send(self._timebase.tick_of_step(step), guard.command)
        if not sent:
            guard.withdraw()
        elif self.recording is not None:
            self.recording.add(step, guard.command)
        chunk = order.motion.seam_chunk if isinstance(order.motion, RingMotion) else -1
        self.telemetry.record(
            step, due_ns, now_ns - due_ns, status, chunk, guard, intervened=intervened, sent=sent, missed=missed
        )
        return status
