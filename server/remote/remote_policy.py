"""A policy that a server has loaded, as a policy of one robot."""

from __future__ import annotations

import operator
import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.embodiments.errors import MessageError
from unichunk.runtime.errors import BundleError, ObservationError, PolicyError, PolicyLate
from unichunk.runtime.policy.arrays import in_words, numbers, without_batch
from unichunk.runtime.policy.bundle_robot import BundleRobot
from unichunk.runtime.policy.contradictions import contradictions
from unichunk.runtime.policy.manifest import Manifest
from unichunk.runtime.policy.normalization import SlotMap
from unichunk.runtime.policy.result import PolicyResult
from unichunk.server.remote.address import parse_address
from unichunk.server.remote.clock import SystemClock
from unichunk.server.remote.credentials import Credentials
from unichunk.server.remote.outgoing import OutgoingObservation, encode_value
from unichunk.server.remote.session import Session
from unichunk.server.remote.statistics import RemoteStatistics
from unichunk.server.remote.websocket_connection import WebSocketDialer
from unichunk.server.remote.zmq_connection import ZmqDialer
from unichunk.server.wire.lean import PROTOCOL, Hello
from unichunk.server.wire.lean_rows import RowCodec
from unichunk.server.wire.shared_memory import host_mark

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import SupportsIndex

    from numpy.typing import NDArray

    from unichunk.server.remote.address import Address
    from unichunk.server.remote.clock import Clock
    from unichunk.server.remote.connection import Dialer
    from unichunk.server.wire.lean import Inferred, Welcome

JOIN_S: Final = 10.0
"""How long a server may take to let a client in at first, [s]."""

FIRST_S: Final = 60.0
"""How long the first inference may take, [s]: engines get warm."""

MOST_ANSWER_S: Final = 4.0
"""How long any other may take at most, [s], however long a chunk is: an end of the run must not wait longer."""

_CLOSE_S: Final = 0.5
_MANIFEST: Final[msgspec.msgpack.Decoder[Manifest]] = msgspec.msgpack.Decoder(Manifest)


class RemotePolicy(BundleRobot):
    """One robot's end of a policy that a server has loaded; a `ChunkPolicy`. One call at a time, from any thread.

    Latency is what the caller measures, end to end: network, waiting for others at the server, inference. The delay
    follows from it. Where there is no answer in time, `infer` raises a `PolicyLate`: nothing is wrong then, and the
    next observation is a new try. Connections that are lost are made anew within `infer`; an answer that came over a
    new one is marked as cold.

    Args:
        address: `ws://host:port[/policy]`, `wss://...`, `zmq://host:port[/policy]` or `ipc:///path`.
        embodiment: The robot.
        refinement_rounds: N.
        guided: Whether chunks have to be steered towards the running plan, or must not be; None: as it is served.
        seed: Seed of the robot's noise.
        credentials: What to show, and by what to know the server.
        jpeg: Quality of pictures on the wire, 1 to 100; None: the pixels as they are.
        answer_within_s: After this long an answer is of no use, [s]; None: what a chunk is worth, T / action_hz.
        first_s: How long the first one may take, [s].
        join_s: How long the server may take to let us in at first, [s].
        dialer: Makes connections; None: what the address asks for.
        clock: Time.

    Attributes:
        manifest: The bundle's description.
        embodiment: Name of the robot.
        robot: The robot's entry in the manifest.
        guided: Whether chunks are steered towards the running plan.
        statistics: What was written down so far.

    Raises:
        UnichunkError: Where the address is none, or needs a package that is not there.
        PolicyError: Where no server answers, or it refuses this client, robot or number of rounds.
    """

    def __init__(
        self,
        address: str,
        embodiment: str,
        *,
        refinement_rounds: int = 0,
        guided: bool | None = None,
        seed: int = 0,
        credentials: Credentials | None = None,
        jpeg: int | None = None,
        answer_within_s: float | None = None,
        first_s: float = FIRST_S,
        join_s: float = JOIN_S,
        dialer: Dialer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.statistics = RemoteStatistics()
        self._address = parse_address(address)
        self._jpeg = jpeg
        self._answer_within_s = answer_within_s
        self._first_s = first_s
        self._first = True
        self._number = 0
        self._lock = threading.Lock()
        self._clock = clock or SystemClock()
        self._outgoing: OutgoingObservation | None = None
        self._digest = ""
        self._embodiment = embodiment
        credentials = credentials or Credentials()
        self._dialer = dialer or make_dialer(self._address, credentials)
        hello = Hello(
            protocol=PROTOCOL,
            key=credentials.key,
            policy=self._address.policy,
            embodiment=embodiment,
            refinement_rounds=refinement_rounds,
            guided=guided,
            seed=seed,
        )
        self._session = Session(self._dialer, hello, address, self._welcome, self.statistics, self._clock)
        try:
            self._session.join(self._clock.now() + join_s)
        except BaseException:
            self._release()
            raise

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._address.text

    @property
    def digest(self) -> str:
        """SHA-256 of the `bundle.json` that the server says it serves now, hexadecimal."""
        return self._digest

    @property
    def answer_within_s(self) -> float:
        """After this long an answer is of no use, [s]."""
        if self._answer_within_s is not None:
            return self._answer_within_s
        return min(MOST_ANSWER_S, self.chunk_length / self.robot.action_hz)

    def infer(
        self,
        observation: Mapping[str, Any],
        previous_chunk: NDArray[np.float32] | None = None,
        delay: SupportsIndex = 0,
    ) -> PolicyResult:
        """Predict one chunk, see `Policy.infer`.

        Raises:
            ObservationError: Where an argument does not fit the bundle.
            PolicyLate: Where there was no answer in time.
            PolicyError: Where the policy failed, answered something that must not reach a robot, or the server will
                not serve this robot any more.
        """
        with self._lock:
            began = self._clock.now()
            deadline = began + (self._first_s if self._first else self.answer_within_s)
            rows, locked = self._running(previous_chunk, delay)
            assert self._outgoing is not None
            fields = self._outgoing(observation)
            number, self._number = self._number, self._number + 1
            sent = encode_value(self._rows.pack_locked(rows)) if len(rows) else None
            asked = self._session.ask(fields, number=number, delay=locked, locked=sent, deadline=deadline)
            self._first = False
            return self._result(asked.chunk, rows[:locked], cold=asked.cold)

    def close(self) -> None:
        """Say goodbye. A connection that an inference still waits on is left to the end of the process."""
        if self._lock.acquire(timeout=_CLOSE_S):
            try:
                self._session.close()
                self._release()
            finally:
                self._lock.release()

    def _result(self, chunk: Inferred, locked: NDArray[np.float32], *, cold: bool) -> PolicyResult:
        if chunk.digest != self._digest:
            # Decoded with another normalization its rows would be other metal.
            self._session.renew(self._clock.now())
            raise PolicyLate(f"the policy at {self.address} was replaced: the next observation counts")
        try:
            unified = self._rows.place_chunk(chunk.unified, locked)
            _check_gates(chunk)
        except MessageError as error:
            raise PolicyError(f"the policy server at {self.address} answered with a bad {error}") from None
        return PolicyResult(
            unified=unified,
            actions=self._action.decode(unified),
            gates=chunk.gates,
            discrepancies=chunk.discrepancies,
            cold=cold,
        )

    def _running(self, previous: NDArray[np.float32] | None, given: SupportsIndex) -> tuple[NDArray[np.float32], int]:
        """What the server is told of the running plan, (m, 200), and how many rows are locked: all, if not guided."""
        length, width = self.chunk_length, self.manifest.unified_width
        try:
            delay = -1 if isinstance(given, (bool, np.bool_)) else operator.index(given)
        except TypeError:
            delay = -1
        if not 0 <= delay <= length:
            raise ObservationError(f"delay: expected 0 to {length} rows, a whole number, got {in_words(given)}")
        if previous is None:
            if delay:
                raise ObservationError(f"previous_chunk: missing, but delay = {delay} rows of it shall be locked")
            return np.zeros((0, width), np.float32), 0
        rows = without_batch(numbers("previous_chunk", previous, np.float32), 2)
        if rows.ndim != 2 or rows.shape[1] != width or not 1 <= len(rows) <= length:
            raise ObservationError(f"previous_chunk: expected shape (1 to {length}, {width}), got {rows.shape}")
        count = max(len(rows), delay) if self.guided else delay
        return np.ascontiguousarray(rows[np.minimum(np.arange(count), len(rows) - 1)]), delay

    def _welcome(self, welcome: Welcome) -> None:
        """Take over what is served now, if it means the same for this robot as what was served before.

        Raises:
            BundleError: Where it does not.
        """
        try:
            manifest = _MANIFEST.decode(welcome.manifest)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BundleError(f"the server's manifest cannot be used: {' '.join(str(error).split())[:300]}") from None
        for complaint in contradictions(manifest):
            raise BundleError(f"the server's manifest contradicts itself: {complaint}")
        if self._embodiment not in manifest.robots:
            raise BundleError(f"{manifest.name!r} drives {', '.join(manifest.robots)}, not {self._embodiment}")
        if self._outgoing is None:
            super().__init__(manifest, self._embodiment)
        elif (changed := _difference(self.manifest, manifest, self._embodiment)) is not None:
            raise BundleError(
                f"the policy was replaced by one whose {changed} differs: what it predicts does not mean the same for "
                "this run; start it anew"
            )
        shared = self._address.is_here and bool(welcome.host) and welcome.host == host_mark() and self._jpeg is None
        if self._outgoing is None or manifest.image != self.manifest.image or welcome.digest != self._digest:
            self._release_outgoing()
            self._outgoing = OutgoingObservation(
                manifest.robots[self._embodiment].cameras, manifest.image.size, jpeg=self._jpeg, shared=shared
            )
        self.guided = welcome.guided
        self.manifest = manifest
        self.robot = manifest.robots[self._embodiment]
        self._action = SlotMap("action", self.robot.action, manifest.unified_width)
        self._rows = RowCodec(manifest, self.robot)
        self._digest = welcome.digest

    def _release(self) -> None:
        self._release_outgoing()
        self._dialer.close()

    def _release_outgoing(self) -> None:
        if self._outgoing is not None:
            self._outgoing.close()


def make_dialer(address: Address, credentials: Credentials) -> Dialer:
    """What makes connections to an address.

    Raises:
        UnichunkError: Where that needs a package that is not there, or the host's name is unknown.
    """
    if address.transport == "zmq":
        return ZmqDialer(address, credentials)
    return WebSocketDialer(address, credentials)


def _difference(one: Manifest, other: Manifest, embodiment: str) -> str | None:
    """What a robot's runtime depends on that is not the same; None where nothing is."""
    for name in ("chunk_length", "unified_width", "noise", "locks", "state_time"):
        if getattr(one, name) != getattr(other, name):
            return name
    for name in ("action", "state", "cameras", "action_hz", "max_delay"):
        if getattr(one.robots[embodiment], name) != getattr(other.robots[embodiment], name):
            return f"robots.{embodiment}.{name}"
    return None


def _check_gates(chunk: Inferred) -> None:
    for name, values in (("gates", chunk.gates), ("discrepancies", chunk.discrepancies)):
        if values is not None and (values.dtype != np.float32 or values.ndim != 2 or not np.isfinite(values).all()):
            raise MessageError(f"{name}: expected finite float32 of shape (rounds, steps), got shape {values.shape}")
