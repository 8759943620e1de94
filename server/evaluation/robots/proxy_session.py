"""A robot's session with a campaign's proxy: one request at a time, each with a deadline; joined anew after losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import PolicyError, PolicyLate
from unichunk.server.evaluation.robots.greeting import Greeting, read_greeting
from unichunk.server.remote.connection import ConnectionLost, Forbidden, Unreachable
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.server.evaluation.robots.proxy_statistics import ProxyStatistics
    from unichunk.server.remote.clock import Clock
    from unichunk.server.remote.connection import Connection, Dialer

GREETING_S: Final = 5.0
"""How long the first message of a connection may take, [s]."""

RETRY_S: Final = 0.1
"""Pause after an attempt that did not work, [s]."""

SILENCE_S: Final = 3.0
"""A proxy that owes an answer for this long is not there any more, [s]: it answers within its fixed delay, always. Much
longer than that: a connection that is hung up interrupts a trial."""

_LONGEST_CODE: Final = 100


@dataclass(frozen=True)
class Answer:
    """What the proxy answered.

    Attributes:
        rows: Joint targets of the ticks from the observation's on, shape (H, n), float32, [rad].
        fresh: Whether it is the first one over its connection.
    """

    rows: NDArray[np.float32]
    fresh: bool


class ProxySession:
    """One robot's session. For one thread at a time.

    Answers carry no number: they come in the order of the requests. So a request is only sent once the one before is
    answered, and a late answer is dropped.

    Args:
        dialer: Makes connections.
        where: The proxy's address, for messages.
        statistics: What is written down.
        clock: Time.

    Attributes:
        greeting: What the proxy said first; None before `join`.
    """

    def __init__(self, dialer: Dialer, where: str, statistics: ProxyStatistics, clock: Clock) -> None:
        self._dialer = dialer
        self._where = where
        self._statistics = statistics
        self._clock = clock
        self._connection: Connection | None = None
        self._fresh = True
        self._owed_since: float | None = None
        self._final: PolicyError | None = None
        self.greeting: Greeting | None = None

    def join(self, deadline: float) -> Greeting:
        """Connect, again and again until it works.

        Args:
            deadline: After this no further attempt is made, [s]; there is one at least.

        Raises:
            PolicyLate: Where it did not work by then.
            PolicyError: Where it never will: the key, another robot.
        """
        if self._final is not None:
            raise self._final
        while True:
            try:
                return self._connect()
            except (Unreachable, ConnectionLost) as error:
                reason, pause = str(error), getattr(error, "retry_after_s", None) or RETRY_S
            except Forbidden as error:
                self._hang_up()
                self._final = PolicyError(f"{self._where}: {error}")
                raise self._final from None
            self._hang_up()
            self._clock.sleep(max(0.0, min(pause, deadline - self._clock.now())))
            if self._clock.now() >= deadline:
                raise PolicyLate(
                    f"the campaign's proxy at {self._where} cannot be reached: {reason}; is `unichunk eval serve` "
                    "running there?"
                )

    def ask(self, fields: Mapping[str, Any], deadline: float) -> Answer:
        """Send an observation; the rows from its tick on.

        Args:
            fields: The observation.
            deadline: After this the answer is of no use, [s].

        Raises:
            PolicyLate: Where there is none in time; the next observation is a new try.
            PolicyError: Where the proxy answered something that must not reach a robot, or refuses this one.
        """
        if self._connection is None:
            self.join(deadline)
        try:
            return self._ask(fields, deadline)
        except ConnectionLost as error:
            self._statistics.unanswered += 1
            self._hang_up()
            raise PolicyLate(f"the connection to {self._where} was lost ({error})") from None

    def close(self) -> None:
        """Hang up; nothing can be asked any more."""
        self._final = PolicyError(f"the connection to {self._where} was closed")
        self._hang_up()
        self._dialer.close()

    def _connect(self) -> Greeting:
        self._hang_up()
        self._connection = self._dialer.dial()
        message = self._connection.receive(self._clock.now() + GREETING_S)
        if message is None:
            raise Unreachable("connected, but nothing was said: is that a campaign's proxy?")
        try:
            greeting = read_greeting(message)
        except PolicyError as error:
            raise Forbidden(str(error)) from None
        if self.greeting is not None and greeting != self.greeting:
            raise Forbidden("it is another campaign's by now; start anew")
        self.greeting = greeting
        self._statistics.connections += 1
        self._fresh = True
        self._owed_since = None
        return greeting

    def _ask(self, fields: Mapping[str, Any], deadline: float) -> Answer:
        assert self._connection is not None
        if self._owed_since is not None:
            # Of the observation before; it is too late for that one.
            self._receive(self._owed_since, deadline)
        try:
            message = pack(fields)
        except WireError as error:
            raise PolicyError(f"observation: {error}") from None
        sent = self._clock.now()
        self._connection.send(message, max(deadline, sent + RETRY_S))
        self._statistics.requests += 1
        self._statistics.bytes_sent += len(message)
        rows = _rows(self._receive(sent, deadline))
        self._statistics.answer(self._clock.now() - sent)
        fresh, self._fresh = self._fresh, False
        return Answer(rows, fresh)

    def _receive(self, sent: float, deadline: float) -> bytes:
        """The answer to what was sent at that time."""
        assert self._connection is not None
        self._owed_since = sent
        message = self._connection.receive(deadline)
        now = self._clock.now()
        if message is not None:
            self._owed_since = None
            return message
        if now - sent > SILENCE_S:
            raise ConnectionLost(f"silent for {now - sent:.1f} s")
        self._statistics.unanswered += 1
        raise PolicyLate(f"the campaign's proxy at {self._where} did not answer within {now - sent:.2g} s")

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _rows(message: bytes) -> NDArray[np.float32]:
    """The rows in an answer; whatever else comes is an error's code."""
    try:
        answer = unpack(message)
    except WireError:
        answer = None
    rows = answer.get("actions") if isinstance(answer, dict) else None
    if not isinstance(rows, np.ndarray):
        code = message[:_LONGEST_CODE].decode("ascii", "replace") if message.isascii() else ""
        reason = code if code and code.isprintable() else "no reason"
        raise PolicyError(f"the campaign's proxy refused the observation: {reason}")
    if rows.dtype != np.float32 or rows.ndim != 2 or not np.isfinite(rows).all():
        raise PolicyError(
            f"the campaign's proxy answered {rows.dtype} of shape {rows.shape}: expected finite float32 (H, n)"
        )
    return rows
