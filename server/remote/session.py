"""A client's session with a policy server: joined, resumed after losses; a request at a time, with a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.errors import BundleError, ObservationError, PolicyError, PolicyLate
from unichunk.server.remote.changes import Changes
from unichunk.server.remote.connection import ConnectionLost, Forbidden, Unreachable
from unichunk.server.remote.liveness import Liveness
from unichunk.server.wire.lean import (
    PROTOCOL,
    RESPONSES,
    Bye,
    Cancel,
    Draining,
    Hello,
    Inferred,
    NeedAll,
    Ping,
    Pong,
    Refused,
    Welcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unichunk.server.remote.clock import Clock
    from unichunk.server.remote.connection import Connection, Dialer
    from unichunk.server.remote.statistics import RemoteStatistics
    from unichunk.server.wire.lean import Infer, Response

WELCOME_S: Final = 2.0
"""How long the answer to a hello may take, [s]."""

RETRY_S: Final = 0.05
"""Pause after an attempt that was refused at once, [s]."""

FRESH_S: Final = 0.1
"""A connection made anew within this time still serves the request it was made for, [s]: later ones are about what is
over, and a new observation does better."""

_ERRORS: Final[dict[str, type[PolicyError | ObservationError]]] = {"observation": ObservationError}
_LATER: Final = frozenset({"busy", "rate", "late", "draining"})
_FINAL: Final = frozenset({"key", "bundle"})


@dataclass(frozen=True)
class Asked:
    """What a request came to.

    Attributes:
        chunk: The answer.
        cold: Whether it went over a connection that is new, or had to be sent twice.
    """

    chunk: Inferred
    cold: bool


class Session:
    """One robot's session. For one thread at a time.

    Args:
        dialer: Makes connections.
        hello: What to say on each; the session is filled in.
        where: The server's address, for messages.
        check: Looks at every welcome, and raises a `BundleError` where the policy there is another one.
        statistics: What is written down.
        clock: Time.
    """

    def __init__(
        self,
        dialer: Dialer,
        hello: Hello,
        where: str,
        check: Callable[[Welcome], None],
        statistics: RemoteStatistics,
        clock: Clock,
    ) -> None:
        self._dialer = dialer
        self._hello = hello
        self._where = where
        self._check = check
        self._statistics = statistics
        self._clock = clock
        self._changes = Changes()
        self._liveness = Liveness()
        self._connection: Connection | None = None
        self._pings = 0
        self._most_bytes = 0
        self._cold = True
        self._final: PolicyError | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    def join(self, deadline: float) -> None:
        """Connect and say hello, again and again until it works.

        Args:
            deadline: After this no further attempt is made, [s]; there is one at least, and it takes its time.

        Raises:
            PolicyLate: Where it did not work by then.
            PolicyError: Where it never will: the key, the policy.
        """
        self._require_hope()
        while True:
            pause = RETRY_S
            try:
                self._connect()
            except (Unreachable, ConnectionLost) as error:
                reason = str(error)
                pause = getattr(error, "retry_after_s", None) or RETRY_S
            except (Forbidden, BundleError) as error:
                self._hang_up()
                self._final = PolicyError(f"{self._where}: {error}")
                raise self._final from None
            else:
                return
            self._hang_up()
            self._clock.sleep(max(0.0, min(pause, deadline - self._clock.now())))
            if self._clock.now() >= deadline:
                raise PolicyLate(
                    f"the policy server at {self._where} cannot be reached: {reason}; is `unichunk serve` running "
                    "there?"
                )

    def ask(
        self, fields: Mapping[str, bytes], *, number: int, delay: int, locked: bytes | None, deadline: float
    ) -> Asked:
        """Ask for one chunk.

        Args:
            fields: The observation, each value encoded.
            number: Of the chunk.
            delay: d.
            locked: Packed rows, encoded; None where d is 0.
            deadline: After this the answer is of no use, [s].

        Raises:
            PolicyLate: Where there is none in time; the session has done what it could for the next one.
            ObservationError: Where the observation does not fit.
            PolicyError: Where the policy failed, or the server will not serve this client any more.
        """
        began = self._clock.now()
        self._require_hope()
        try:
            self._catch_up()
        except ConnectionLost:
            self._hang_up()
        if self._connection is None:
            self.join(deadline)
            if self._clock.now() - began > FRESH_S:
                raise PolicyLate(f"the connection to {self._where} was lost and is back: the next observation counts")
        self._statistics.requests += 1

        def request() -> Infer:
            within_s = max(0.0, deadline - self._clock.now())
            return self._changes.infer(fields, number=number, delay=delay, locked=locked, within_s=within_s)

        try:
            return self._ask(request, deadline)
        except ConnectionLost as error:
            self._statistics.unanswered += 1
            self._hang_up()
            # The next observation finds a connection, if there is one to be had.
            self.join(deadline)
            raise PolicyLate(f"the connection to {self._where} was lost ({error}) and is back") from None

    def renew(self, deadline: float) -> None:
        """Join again, because the policy there has changed; `check` sees what it is now.

        Raises:
            PolicyLate, PolicyError: As `join`.
        """
        self._hang_up()
        self.join(deadline)

    def close(self) -> None:
        """Say goodbye and hang up; nothing can be asked any more."""
        self._final = PolicyError(f"the connection to {self._where} was closed")
        if self._connection is not None:
            try:
                self._connection.send(encode(Bye()), self._clock.now() + RETRY_S)
            except ConnectionLost:
                pass
            finally:
                self._hang_up()

    def _ask(self, request: Callable[[], Infer], deadline: float) -> Asked:
        cold, self._cold = self._cold, False
        for _ in range(2):
            infer = request()
            sent = self._clock.now()
            self._send(self._fitting(encode(infer)), deadline)
            answer = self._await(infer.id, deadline)
            now = self._clock.now()
            if answer is None:
                self._statistics.unanswered += 1
                self._send(encode(Cancel(id=infer.id)), now + RETRY_S)
                raise PolicyLate(f"the policy server at {self._where} did not answer within {now - sent:.2g} s")
            if isinstance(answer, Inferred):
                self._statistics.answer(now - sent, answer.timing)
                self._liveness.answered(max(0.0, now - sent - answer.timing.total_ms / 1e3))
                return Asked(answer, cold)
            if isinstance(answer, Refused):
                raise self._refusal(answer, deadline)
            # It forgot what this one builds on: once more, with everything.
            self._statistics.resent += 1
            self._changes.forget()
            cold = True
        raise PolicyError(f"the policy server at {self._where} asks for what it was just sent")

    def _await(self, number: int, deadline: float) -> Inferred | Refused | NeedAll | None:
        """The answer to a request; None where there is none in time."""
        while (now := self._clock.now()) < deadline:
            if self._liveness.dead(now):
                raise ConnectionLost(f"silent for {self._liveness.silence_s:.1f} s")
            if self._liveness.ping_due(now):
                self._ping(now)
            answer = self._receive(min(deadline, self._liveness.look_at()))
            if answer is not None and (found := self._sorted(answer, number)) is not None:
                return found
        return None

    def _sorted(self, answer: Response, number: int) -> Inferred | Refused | NeedAll | None:
        """The answer if it is the one that is waited for; what else may come is dealt with."""
        if isinstance(answer, Pong | Draining | Welcome):
            # Of a server that ends: what was begun is answered, and what comes after that finds the connection closed.
            return None
        if isinstance(answer, Refused) and answer.id == 0:
            return answer
        if answer.id != number:
            self._statistics.late += isinstance(answer, Inferred)
            return None
        return answer

    def _catch_up(self) -> None:
        """Take in what came since the last answer: late answers, pongs, an end."""
        if self._connection is None:
            return
        now = self._clock.now()
        while (answer := self._receive(now)) is not None:
            self._sorted(answer, -1)
        if self._liveness.dead(now):
            raise ConnectionLost(f"silent for {self._liveness.silence_s:.1f} s")

    def _refusal(self, refused: Refused, deadline: float) -> Exception:
        """The error that a refusal is; where it says to come back later, some of that time has passed."""
        self._statistics.refusal(refused.kind)
        said = f"the policy server at {self._where}: {refused.reason}"
        if refused.kind in _LATER:
            if refused.kind == "draining":
                self._hang_up()
            wait_s = refused.retry_after_s if refused.retry_after_s is not None else RETRY_S
            self._clock.sleep(max(0.0, min(wait_s, deadline - self._clock.now())))
            return PolicyLate(said)
        if refused.kind == "session":
            self._hang_up()
            return PolicyLate(said)
        if refused.kind in _FINAL:
            self._hang_up()
            self._final = PolicyError(said)
            return self._final
        # What the worker could not read was the whole of it as the server has it: begin anew.
        self._changes.forget()
        return _ERRORS.get(refused.kind, PolicyError)(refused.reason)

    def _connect(self) -> None:
        """One attempt. It may take longer than many a chunk is worth: a handshake over a slow network does."""
        self._connection = self._dialer.dial()
        until = self._clock.now() + WELCOME_S
        self._connection.send(encode(self._hello), until)
        while (answer := self._receive(until)) is not None:
            if isinstance(answer, Refused):
                if answer.kind in _LATER:
                    raise Unreachable(answer.reason, answer.retry_after_s)
                raise Forbidden(answer.reason)
            if isinstance(answer, Welcome):
                self._joined(answer)
                return
        raise Unreachable("connected, but no answer to a hello: is that a policy server?")

    def _joined(self, welcome: Welcome) -> None:
        if welcome.protocol != PROTOCOL:
            raise Forbidden(f"the server speaks protocol {welcome.protocol}, this client {PROTOCOL}")
        self._check(welcome)
        self._statistics.connections += 1
        self._statistics.resumed += welcome.resumed
        self._hello = msgspec.structs.replace(self._hello, session=welcome.session)
        self._most_bytes = welcome.limits.message_bytes
        self._changes.forget()
        self._liveness.connected(self._clock.now())
        self._cold = True

    def _receive(self, deadline: float) -> Response | None:
        assert self._connection is not None
        message = self._connection.receive(deadline)
        if message is None:
            return None
        try:
            answer = RESPONSES.decode(message)
        except MessageError as error:
            raise ConnectionLost(str(error)) from None
        self._liveness.heard(self._clock.now())
        return answer

    def _fitting(self, message: bytes) -> bytes:
        # A server hangs up on whoever sends more.
        if len(message) > self._most_bytes:
            self._changes.forget()
            raise ObservationError(
                f"observation: {len(message)} bytes with what is locked, this server takes at most {self._most_bytes}; "
                "send smaller pictures, or JPEG"
            )
        return message

    def _send(self, message: bytes, deadline: float) -> None:
        assert self._connection is not None
        self._connection.send(message, deadline)
        self._statistics.bytes_sent += len(message)
        self._liveness.asked(self._clock.now())

    def _ping(self, now: float) -> None:
        self._pings += 1
        self._send(encode(Ping(id=self._pings)), now + RETRY_S)
        self._liveness.pinged(now)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _require_hope(self) -> None:
        if self._final is not None:
            raise self._final
