"""The driver's heartbeat: take what arrived, give the robot one set-point, step it, send what was measured.

Set-points come from a `StreamConditioner`, one in every period. A robot is brought to rest by braking that stream, and
told to rest in the period after the stream's last set-point. Where more periods in a row were left out than the robot
can do without, the stream is broken: the robot is told to rest at once, and its session must say hello again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import zmq

from unichunk.embodiments.drivers.pace import Pace
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import State
from unichunk.embodiments.link.sockets import receive

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.drivers.command_intake import CommandIntake
    from unichunk.embodiments.drivers.counters import Counters
    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.group_rates import GroupCommands
    from unichunk.embodiments.drivers.lease import Lease
    from unichunk.embodiments.drivers.state_history import StateHistory
    from unichunk.embodiments.drivers.stream_conditioner import StreamConditioner
    from unichunk.embodiments.drivers.watchdog import Watchdog
    from unichunk.embodiments.link.sockets import Socket

_MOST_PER_PERIOD: Final = 64
_LEAST_WIND_DOWN_S: Final = 2.0
_WIND_DOWN_MARGIN: Final = 1.5


class ControlLoop:
    """Runs at the robot's command rate, in its own thread.

    Args:
        device: The robot.
        rate_hz: Its command rate, that of the fastest group.
        groups: Hands each group its set-points when they are due.
        commands: Socket that commands arrive on.
        states: Socket that states are published on.
        intake: Chooses the command to follow.
        lease: Who holds the robot.
        watchdog: Says when to rest.
        history: Gets every state.
        counters: Gets what was missed.
        conditioner: Makes the stream of set-points.
        most_missed: Periods in a row that the robot can do without; 0 for those that check their stream.
    """

    def __init__(
        self,
        *,
        device: RobotDevice,
        rate_hz: float,
        groups: GroupCommands,
        commands: Socket,
        states: Socket,
        intake: CommandIntake,
        lease: Lease,
        watchdog: Watchdog,
        history: StateHistory,
        counters: Counters,
        conditioner: StreamConditioner,
        most_missed: int,
    ) -> None:
        self._device = device
        self._rate_hz = rate_hz
        self._groups = groups
        # Periods that ran; those left out do not count, so that a device that counts its own knows which one it is.
        self._period = 0
        self._missed = 0
        self._ending = False
        self._winding_down = False
        self._commands = commands
        self._states = states
        self._intake = intake
        self._lease = lease
        self._watchdog = watchdog
        self._history = history
        self._counters = counters
        self._conditioner = conditioner
        self._most_missed = most_missed
        self._measured: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._sequence = 0

    def run(self, halt: threading.Event) -> None:
        """Run until halted; whatever ends it, the robot is brought to rest."""
        pace = Pace(self._rate_hz, catch_up=self._device.simulated)
        try:
            while not halt.is_set():
                self._run_period(pace)
            self._wind_down(pace)
        finally:
            self._device.rest()

    def _run_period(self, pace: Pace) -> None:
        self._follow()
        self._publish(self._measure())
        self._missed = pace.wait()
        self._counters.missed_periods += self._missed
        self._period += 1

    def _follow(self) -> None:
        if self._ending:
            # The stream came to rest, and the robot has had its last set-point for a period.
            self._ending = False
            self._rest_device()
        messages = list(self._arrived())
        # Not before they were received: a process that was held up in between would take old commands for fresh ones.
        now_ns = time.monotonic_ns()
        commands = [] if self._winding_down else self._intake.take(messages, now_ns)
        broken = self._break_off()
        suspended = self._lease.suspended
        grant = self._intake.grant
        if self._watchdog.look(grant, now_ns, commanded=bool(commands), suspended=suspended, broken=broken):
            commands = []
            self._conditioner.stop()
            if self._watchdog.tripped(grant):
                # Whoever commanded knows no more where the robot stands: not a command before another hello.
                self._lease.suspend(grant)
        self._counters.watchdog_trips = self._watchdog.trips
        self._hand_on(commands)

    def _hand_on(self, commands: list[NDArray[np.float64]]) -> None:
        """Give the robot what it gets in this period."""
        conditioner, groups = self._conditioner, self._groups
        conditioner.offer(commands)
        if self._measured is not None and (q := conditioner.sample(*self._measured)) is not None:
            groups.offer(q)
        self._ending = conditioner.idle and groups.waiting
        set_points = groups.flush() if conditioner.idle else groups.take(self._period)
        if set_points is not None:
            self._device.command(set_points)

    def _break_off(self) -> bool:
        """Whether a stream was refused or missed more periods than it may; then it has ended, and the robot rests."""
        late = self._missed > self._most_missed and not self._conditioner.idle
        if not late and not self._conditioner.refused:
            return False
        self._counters.broken += 1
        self._conditioner.break_off()
        self._rest_device()
        return True

    def _rest_device(self) -> None:
        self._groups.clear()
        # The next stream begins where the robot stands after this, so there is a period without one at least.
        self._measured = None
        self._device.rest()

    def _wind_down(self, pace: Pace) -> None:
        """A stream may not just end: brake it to rest first, whatever arrives."""
        self._winding_down = True
        self._conditioner.stop()
        # Counted, not timed: a loop that is late needs as many periods as any other.
        most_s = max(_LEAST_WIND_DOWN_S, _WIND_DOWN_MARGIN * self._conditioner.stopping_s)
        for _ in range(round(most_s * self._rate_hz)):
            if self._conditioner.idle:
                return
            self._run_period(pace)

    def _arrived(self) -> Iterator[bytes]:
        # Bounded: a flood of messages must not keep the loop from its robot.
        for _ in range(_MOST_PER_PERIOD):
            if (data := receive(self._commands)) is None:
                return
            yield data

    def _measure(self) -> State:
        q, dq = self._device.step()
        self._measured = q, dq
        grant = self._intake.grant
        state = State(
            sequence=self._sequence,
            stamp_ns=time.monotonic_ns(),
            q=q,
            dq=dq,
            watchdog=self._lease.suspended and not self._lease.stopped and self._watchdog.tripped(grant),
            stopped=self._lease.stopped,
            session="" if grant is None else grant.session,
            last_command_sequence=self._intake.last_sequence,
        )
        self._sequence += 1
        return state

    def _publish(self, state: State) -> None:
        self._history.add(state)
        self._states.send(encode(state), zmq.NOBLOCK)
