"""The host of a policy that several robots share: one process loads it once and answers their runtimes in turn.

Runs as `python -m unichunk.server.shared_policy_host`; `unichunk fleet` starts it.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003  tyro reads the annotation
from typing import TYPE_CHECKING, Any, Final, Protocol

import tyro
import zmq

from unichunk.embodiments.drivers.stop_signals import stop_on_signals
from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.endpoints import ipc_path
from unichunk.embodiments.link.sockets import MAX_STREAM_BYTES
from unichunk.runtime.errors import BundleError, ObservationError, PolicyError, UnichunkError
from unichunk.runtime.parent_process import announce_ready, at_end_of_input
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.say import say
from unichunk.server.shared_policy_messages import (
    PROTOCOL,
    REQUESTS,
    STILL_THERE,
    Infer,
    Inferred,
    Join,
    Joined,
    Refused,
    check_host_endpoint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.link.sockets import Context
    from unichunk.runtime.policy import PolicyResult
    from unichunk.runtime.policy.manifest import Manifest

MOST_PER_ROUND: Final = 64
"""Messages taken in between two inferences; who sends more waits with them, and nobody else does."""

_LOOK_MS: Final = 50
_LEAVING_S: Final = 0.5
_GOODBYE_MS: Final = 200


class RobotPolicy(Protocol):
    """The policy of one robot."""

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[Any] | None = None, delay: int = 0
    ) -> PolicyResult:
        """Predict a chunk."""
        ...


class LoadedPolicy(Protocol):
    """A loaded bundle: `Policy`, or what stands in for it."""

    @property
    def manifest(self) -> Manifest:
        """Its description."""
        ...

    @property
    def refinement_rounds(self) -> int:
        """N."""
        ...

    def for_embodiment(self, name: str, *, seed: int = 0) -> RobotPolicy:
        """The policy of one of its robots, on the same engines."""
        ...


class PolicyHost:
    """Answers requests, one at a time, in the order in which they came.

    A runtime that gave up waiting and asks anew keeps its place, and its older request is not worked on. Who has gone
    is forgotten, with what was still to be worked on. Whoever sends something malformed is told so; nobody else is
    affected.

    Args:
        policy: The loaded bundle.
        endpoint: Where to listen: ipc:///absolute/path.

    Raises:
        LinkError: Where the endpoint is no address on this machine.
        PolicyError: Where it cannot be listened on.
    """

    def __init__(self, policy: LoadedPolicy, endpoint: str) -> None:
        self._policy = policy
        self._robots: dict[bytes, RobotPolicy] = {}
        self._waiting: dict[bytes, Join | Infer] = {}
        self._leaving_until_s = 0.0
        self.malformed = 0
        """Messages that were none."""
        self.inferences = 0
        """Chunks predicted."""
        with ExitStack() as stack:
            context: Context = zmq.Context()
            stack.callback(context.term)
            self._socket = context.socket(zmq.ROUTER)
            stack.callback(self._socket.close)
            self._socket.setsockopt(zmq.LINGER, _GOODBYE_MS)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_STREAM_BYTES)
            # What cannot be delivered says so, instead of vanishing: that is how those who have gone are found.
            self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            stack.callback(self._monitor.close)
            stack.callback(self._socket.disable_monitor)
            try:
                self._socket.bind(check_host_endpoint(endpoint))
            except zmq.ZMQError as error:
                raise PolicyError(f"cannot listen on {endpoint}: {error.strerror}; choose another endpoint") from None
            if path := ipc_path(endpoint):
                stack.callback(path.unlink, missing_ok=True)
            self._stack = stack.pop_all()

    def serve(self, stop: threading.Event) -> None:
        """Answer until told to stop."""
        while not stop.is_set():
            if not self._waiting:
                self._socket.poll(_LOOK_MS)
            self._take()
            self._forget_who_left()
            if self._waiting:
                sender = next(iter(self._waiting))
                self._reply(sender, self._answer(sender, self._waiting.pop(sender)))

    def close(self) -> None:
        """Stop listening."""
        self._stack.close()

    def _take(self) -> None:
        """Take in what has come, up to a bound: the newest request of each sender, at the place of its first one."""
        for _ in range(MOST_PER_ROUND):
            try:
                sender, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                if len(parts) != 1:
                    raise MessageError(f"malformed message, expected one part, got {len(parts)}")
                self._waiting[sender] = REQUESTS.decode(parts[0])
            except MessageError as error:
                self.malformed += 1
                self._reply(sender, Refused(id=0, kind="policy", reason=str(error)))

    def _forget_who_left(self) -> None:
        """After somebody hung up, find out who: the socket's notice comes a moment before it knows that itself."""
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
            self._leaving_until_s = time.monotonic() + _LEAVING_S
        if time.monotonic() < self._leaving_until_s:
            for sender in {*self._robots, *self._waiting}:
                self._send(sender, STILL_THERE)

    def _answer(self, sender: bytes, request: Join | Infer) -> Joined | Inferred | Refused:
        try:
            if isinstance(request, Join):
                return self._join(sender, request)
            return self._infer(sender, request)
        except BundleError as error:
            return Refused(id=request.id, kind="bundle", reason=str(error))
        except ObservationError as error:
            return Refused(id=request.id, kind="observation", reason=str(error))
        except PolicyError as error:
            return Refused(id=request.id, kind="policy", reason=str(error))
        except Exception as error:  # noqa: BLE001  one robot's trouble must not become every robot's
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return Refused(id=request.id, kind="policy", reason=f"the policy failed ({reason})")

    def _join(self, sender: bytes, join: Join) -> Joined:
        if join.protocol != PROTOCOL:
            raise BundleError(f"this policy host speaks protocol {PROTOCOL}, the runtime {join.protocol}")
        rounds = self._policy.refinement_rounds
        if join.refinement_rounds != rounds:
            raise BundleError(
                f"the shared policy runs with {rounds} refinement rounds, {join.refinement_rounds} were asked for"
            )
        self._robots[sender] = self._policy.for_embodiment(join.embodiment, seed=join.seed)
        return Joined(id=join.id, manifest=self._policy.manifest)

    def _infer(self, sender: bytes, request: Infer) -> Inferred:
        robot = self._robots.get(sender)
        if robot is None:
            raise PolicyError("this policy host does not know the robot: it has to join first")
        result = robot.infer(request.observation, request.previous_chunk, request.delay)
        self.inferences += 1
        return Inferred(id=request.id, unified=result.unified, gates=result.gates, discrepancies=result.discrepancies)

    def _reply(self, sender: bytes, answer: Joined | Inferred | Refused) -> None:
        self._send(sender, encode(answer))

    def _send(self, sender: bytes, message: bytes) -> None:
        try:
            self._socket.send_multipart([sender, message], zmq.NOBLOCK)
        except zmq.Again:
            pass  # it does not read what it is sent
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._robots.pop(sender, None)
            self._waiting.pop(sender, None)


def main(
    policy: Path,
    *,
    endpoint: str,
    refinement_rounds: int = 0,
    ready_fd: int | None = None,
    until_stdin_closes: bool = False,
) -> int:
    """Serve a policy to the runtimes of several robots until SIGINT, SIGTERM or SIGHUP.

    Args:
        policy: The bundle's folder.
        endpoint: Where to listen: ipc:///absolute/path.
        refinement_rounds: N.
        ready_fd: Number of an inherited pipe that one byte is written to once requests are answered.
        until_stdin_closes: Stop when the standard input ends too.

    Returns:
        The exit code: 0 stopped as asked, 1 failed, with one line on the standard error that says why.
    """
    with stop_on_signals() as stop:
        if until_stdin_closes:
            threading.Thread(target=at_end_of_input, args=(stop.set,), name="stdin", daemon=True).start()
        try:
            first = read_manifest(policy).embodiments[0]
            host = PolicyHost(Policy.load(policy, embodiment=first, refinement_rounds=refinement_rounds), endpoint)
        except UnichunkError as error:
            say(f"error: {error}\n", sys.stderr)
            return 1
        if ready_fd is not None:
            announce_ready(ready_fd)
        try:
            host.serve(stop)
        finally:
            host.close()
        return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
