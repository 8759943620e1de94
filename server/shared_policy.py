"""A policy that another process has loaded, as a policy of one robot."""

from __future__ import annotations

import math
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import zmq

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import check_array, encode
from unichunk.embodiments.link.sockets import MAX_STREAM_BYTES
from unichunk.runtime.errors import BundleError, ObservationError, PolicyError
from unichunk.runtime.policy.bundle_robot import BundleRobot
from unichunk.runtime.policy.result import PolicyResult
from unichunk.server.shared_policy_messages import (
    ANSWERS,
    PROTOCOL,
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

JOIN_S: Final = 10.0
"""How long a host may take to answer a runtime that joins, [s]: as long as an inference for another robot lasts."""

FIRST_S: Final = 60.0
"""How long the first inference may take, [s]."""

INFER_S: Final = 5.0
"""How long any other may take, waiting for the other robots' included, [s]; a run gives up on a policy as late."""

_CLOSE_S: Final = 0.5
_ERRORS: Final = {"bundle": BundleError, "observation": ObservationError, "policy": PolicyError}

SCHEMES: Final = ("ipc://", "tcp://")


def is_shared(policy: str) -> bool:
    """Whether what a user names as policy is the address of a host, and no folder."""
    return policy.startswith(SCHEMES)


class SharedPolicy(BundleRobot):
    """One robot's end of a shared policy; a `ChunkPolicy`. One call at a time, from any thread.

    Latency is what the caller measures: waiting for other robots' inferences is part of it, and of the delay that
    follows from it.

    Args:
        endpoint: Where the host listens.
        embodiment: The robot.
        refinement_rounds: N.
        seed: Seed of the robot's noise.
        join_s: How long the host may take to answer, [s].
        first_s, infer_s: How long the first inference may take, and each other one, [s].

    Attributes:
        manifest: The bundle's description.
        embodiment: Name of the robot.
        robot: The robot's entry in the manifest.

    Raises:
        LinkError: Where the endpoint is no address on this machine.
        PolicyError: Where no host answers.
        BundleError: Where its bundle does not drive this robot, or runs with another number of refinement rounds.
    """

    def __init__(
        self,
        endpoint: str,
        embodiment: str,
        *,
        refinement_rounds: int = 0,
        seed: int = 0,
        join_s: float = JOIN_S,
        first_s: float = FIRST_S,
        infer_s: float = INFER_S,
    ) -> None:
        self._endpoint = check_host_endpoint(endpoint)
        self._patience_s = first_s
        self._infer_s = infer_s
        self._lock = threading.Lock()
        self._count = 0
        self._lost = False
        with ExitStack() as stack:
            context: Context = zmq.Context()
            stack.callback(context.term)
            self._socket = context.socket(zmq.DEALER)
            stack.callback(self._socket.close)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_STREAM_BYTES)
            # A host that dies hangs up, and nobody else says so: a socket connects again in silence.
            self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            stack.callback(self._monitor.close)
            stack.callback(self._socket.disable_monitor)
            self._socket.connect(self._endpoint)
            self._poller = zmq.Poller()
            for socket in (self._socket, self._monitor):
                self._poller.register(socket, zmq.POLLIN)
            joined = self._call(
                Join(id=0, protocol=PROTOCOL, embodiment=embodiment, refinement_rounds=refinement_rounds, seed=seed),
                join_s,
            )
            if not isinstance(joined, Joined) or embodiment not in joined.manifest.robots:
                raise PolicyError(f"the policy host at {endpoint} answered something that cannot be used")
            self._stack = stack.pop_all()
        super().__init__(joined.manifest, embodiment)

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> PolicyResult:
        """Predict one chunk, see `Policy.infer`.

        Raises:
            ObservationError: Where an argument does not fit the bundle.
            PolicyError: Where the policy failed, or the host is gone or does not answer in time.
        """
        if previous_chunk is not None:
            previous_chunk = np.asarray(previous_chunk, np.float32)
        request = Infer(id=0, observation=dict(observation), previous_chunk=previous_chunk, delay=int(delay))
        answer = self._call(request, self._patience_s)
        self._patience_s = self._infer_s
        if not isinstance(answer, Inferred):
            raise PolicyError(f"the policy host at {self._endpoint} answered something else than a chunk")
        try:
            shape = (self.chunk_length, self.manifest.unified_width)
            check_array("chunk", answer.unified, np.float32, shape)
        except MessageError as error:
            raise PolicyError(f"the policy host at {self._endpoint} answered with a bad {error}") from None
        return PolicyResult(
            unified=answer.unified.copy(),
            actions=self._action.decode(answer.unified),
            gates=answer.gates,
            discrepancies=answer.discrepancies,
        )

    def close(self) -> None:
        """Hang up. A socket that an inference still waits on is left to the end of the process."""
        if self._lock.acquire(timeout=_CLOSE_S):
            try:
                self._lost = True
                self._stack.close()
            finally:
                self._lock.release()

    def _call(self, request: Join | Infer, timeout_s: float) -> Joined | Inferred:
        with self._lock:
            self._count += 1
            deadline = time.monotonic() + timeout_s
            self._check_connected()
            self._socket.send(_encoded(msgspec.structs.replace(request, id=self._count)))
            answer = self._receive(deadline, timeout_s)
        if isinstance(answer, Refused):
            raise _ERRORS[answer.kind](answer.reason)
        return answer

    def _receive(self, deadline: float, timeout_s: float) -> Joined | Inferred | Refused:
        while (left_s := deadline - time.monotonic()) > 0:
            ready = dict(self._poller.poll(math.ceil(left_s * 1e3)))
            if self._socket in ready:
                received = self._socket.recv()
                if received == STILL_THERE:
                    continue
                try:
                    answer = ANSWERS.decode(received)
                except MessageError as error:
                    raise PolicyError(f"the policy host at {self._endpoint}: {error}") from None
                # One that came after its caller had given up is nobody's.
                if answer.id == self._count or (answer.id == 0 and isinstance(answer, Refused)):
                    return answer
            elif ready:
                self._check_connected()
        raise PolicyError(
            f"the policy host at {self._endpoint} did not answer within {timeout_s:g} s: is it running, stuck, or busy "
            "with other robots?"
        )

    def _check_connected(self) -> None:
        while not self._lost and self._monitor.poll(0):
            self._monitor.recv_multipart()
            self._lost = True
        if self._lost:
            raise PolicyError(f"the policy host at {self._endpoint} has gone")


def _encoded(request: Join | Infer) -> bytes:
    try:
        data = encode(request)
    except MessageError as error:
        raise ObservationError(f"observation: {error}") from None
    # The host hangs up on whoever sends more.
    if len(data) > MAX_STREAM_BYTES:
        raise ObservationError(
            f"observation: {len(data)} bytes with the previous chunk, a policy host takes at most {MAX_STREAM_BYTES}; "
            "send smaller pictures"
        )
    return data
