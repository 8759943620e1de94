"""What the supervisor asks of a driver, one method a call."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

from unichunk.embodiments.errors import LinkError, LinkTimeout
from unichunk.embodiments.link import calls
from unichunk.embodiments.link.caller import Caller
from unichunk.embodiments.link.clock import RoundTrip, estimate_clock
from unichunk.embodiments.link.messages import PROTOCOL

if TYPE_CHECKING:
    from unichunk.embodiments.link.connection import Connection

R = TypeVar("R", calls.Welcome, calls.Pong, calls.Done, calls.TaskBegun, calls.TaskNumbers, calls.DriverStatus)

_PINGS: Final = 8


class ControlClient:
    """Calls a driver; used by one thread.

    Every method waits for its reply at most the link's timeout and raises `LinkTimeout` where none comes or the driver
    hangs up, `LinkError` where the driver refuses.

    Args:
        connection: Whose clock is kept here.
        endpoint: The driver's control address.
        timeout_s: How long a call may take, [s].
    """

    def __init__(self, connection: Connection, endpoint: str, timeout_s: float) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._caller = Caller(connection, endpoint)
        self._round_trips: deque[RoundTrip] = deque(maxlen=_PINGS)

    def hello(self, timeout_s: float) -> calls.Welcome:
        """Ask for the command lease.

        Args:
            timeout_s: How long to wait, [s].
        """
        embodiment = self._connection.spec.name
        return self._demand(
            calls.Hello(**self._header(), protocol=PROTOCOL, client="unichunk", embodiment=embodiment),
            calls.Welcome,
            timeout_s,
        )

    def measure_clock(self, timeout_s: float) -> None:
        """Measure anew how the driver's clock stands to ours.

        Args:
            timeout_s: How long each of a few pings may take, [s].
        """
        self._round_trips.clear()
        for _ in range(_PINGS):
            self._ping(timeout_s)
        self._connection.clock = estimate_clock(self._round_trips)

    def ping(self, timeout_s: float | None = None) -> float:
        """Measure the round trip of a call, [s], and refine the clock; also keeps the lease while nothing is sent.

        Clocks of two hosts drift apart, by milliseconds a minute at worst: ping every few seconds.

        Args:
            timeout_s: How long to wait, [s]; the link's timeout if left out.
        """
        round_trip_s = self._ping(self._timeout_s if timeout_s is None else timeout_s)
        self._connection.clock = estimate_clock(self._round_trips)
        return round_trip_s

    def status(self) -> calls.DriverStatus:
        """The driver's counters."""
        return self._demand(calls.GetStatus(**self._header()), calls.DriverStatus, self._timeout_s)

    def stop(self) -> None:
        """Have the robot braked to rest; nobody is followed until another session comes.

        Braking begins within one command period; the robot is at rest after `JointLimits.stopping_s` at most.
        """
        self._demand(calls.Stop(**self._header()), calls.Done, self._timeout_s)

    def task_begin(self, instruction: str) -> str:
        """Have a simulated robot begin to measure how well the task is done.

        Args:
            instruction: What the robot is told to do; of a longer one the driver gets the first 1000 characters.

        Returns:
            Why it is not measured, empty where it is or where the robot measures none.
        """
        call = calls.TaskBegin(**self._header(), instruction=instruction[:1000])
        return self._demand(call, calls.TaskBegun, self._timeout_s).unmeasured

    def task_end(self, timeout_s: float = 15.0) -> dict[str, float]:
        """End that measurement.

        Args:
            timeout_s: How long to wait, [s]; a simulator computes its references first.

        Returns:
            Numbers by name, the names carry their units; empty for a robot that measures none.
        """
        return self._demand(calls.TaskEnd(**self._header()), calls.TaskNumbers, timeout_s).numbers

    def goodbye(self, timeout_s: float) -> bool:
        """Give the lease back; the driver brings the robot to rest.

        Args:
            timeout_s: How long to wait, [s].

        Returns:
            Whether the driver answered; without an answer the driver's watchdog does it.
        """
        return self._caller.ask(calls.Goodbye(**self._header()), timeout_s) is not None

    def close(self) -> None:
        """Close the socket."""
        self._caller.close()

    def _ping(self, timeout_s: float) -> float:
        sent_ns = time.monotonic_ns()
        pong = self._demand(calls.Ping(**self._header()), calls.Pong, timeout_s)
        trip = RoundTrip(sent_ns, pong.stamp_ns, time.monotonic_ns())
        self._round_trips.append(trip)
        return trip.duration_ns / 1e9

    def _header(self) -> calls.Header:
        return {"id": self._caller.next_id(), "session": self._connection.session}

    def _demand(self, call: calls.Call, kind: type[R], timeout_s: float) -> R:
        begun_s = time.monotonic()
        reply = self._caller.ask(call, timeout_s)
        if reply is None:
            name = self._connection.spec.name
            raise LinkTimeout(
                f"no answer from the {name} driver for {time.monotonic() - begun_s:.1f} s on {self._endpoint}: "
                f"is `unichunk driver {name}` running?"
            )
        if isinstance(reply, calls.Refused | calls.Failure):
            raise LinkError(f"the {self._connection.spec.name} driver on {self._endpoint} refused: {reply.reason}")
        if not isinstance(reply, kind):
            raise LinkError(f"{self._endpoint}: expected {kind.__name__} for an answer, got {type(reply).__name__}")
        return reply
