"""The driver's heartbeat: take the newest command, step the robot, send what was measured."""

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

    from unichunk.embodiments.drivers.command_intake import CommandIntake
    from unichunk.embodiments.drivers.counters import Counters
    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.lease import Lease
    from unichunk.embodiments.drivers.state_history import StateHistory
    from unichunk.embodiments.drivers.watchdog import Watchdog
    from unichunk.embodiments.link.sockets import Socket

_MOST_PER_PERIOD: Final = 64


class ControlLoop:
    """Runs at the robot's command rate, in its own thread.

    Args:
        device: The robot.
        rate_hz: Its command rate.
        commands: Socket that commands arrive on.
        states: Socket that states are published on.
        intake: Chooses the command to follow.
        lease: Who holds the robot.
        watchdog: Says when to rest.
        history: Gets every state.
        counters: Gets what was missed.
    """

    def __init__(
        self,
        *,
        device: RobotDevice,
        rate_hz: float,
        commands: Socket,
        states: Socket,
        intake: CommandIntake,
        lease: Lease,
        watchdog: Watchdog,
        history: StateHistory,
        counters: Counters,
    ) -> None:
        self._device = device
        self._rate_hz = rate_hz
        self._commands = commands
        self._states = states
        self._intake = intake
        self._lease = lease
        self._watchdog = watchdog
        self._history = history
        self._counters = counters
        self._sequence = 0

    def run(self, halt: threading.Event) -> None:
        """Run until halted; whatever ends it, the robot is brought to rest."""
        pace = Pace(self._rate_hz)
        try:
            while not halt.is_set():
                self._follow()
                self._publish(self._measure())
                self._counters.missed_periods += pace.wait()
        finally:
            self._device.rest()

    def _follow(self) -> None:
        now_ns = time.monotonic_ns()
        q = self._intake.take(self._arrived(), now_ns)
        if q is not None:
            self._device.command(q)
        suspended = self._lease.suspended
        if self._watchdog.look(self._intake.grant, now_ns, commanded=q is not None, suspended=suspended):
            self._device.rest()
            if self._watchdog.tripped(self._intake.grant):
                # Whoever commanded knows no more where the robot stands: not a command before another hello.
                self._lease.suspend()
        self._counters.watchdog_trips = self._watchdog.trips

    def _arrived(self) -> Iterator[bytes]:
        # Bounded: a flood of messages must not keep the loop from its robot.
        for _ in range(_MOST_PER_PERIOD):
            if (data := receive(self._commands)) is None:
                return
            yield data

    def _measure(self) -> State:
        q, dq = self._device.step()
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
