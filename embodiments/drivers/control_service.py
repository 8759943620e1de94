"""The driver's answers on its control socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
import zmq

from unichunk.embodiments.errors import EmbodimentError, MessageError
from unichunk.embodiments.link import calls
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import PROTOCOL

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from unichunk.embodiments.drivers.counters import Counters
    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.lease import Lease
    from unichunk.embodiments.link.sockets import Socket

_POLL_MS: Final = 50


class ControlService:
    """Serves calls one after the other, in its own thread.

    Args:
        socket: ROUTER socket that calls arrive on; callers may come and go.
        device: The robot, for its task.
        lease: Who holds it.
        counters: What is reported, and where calls are counted.
        welcome: What a session that gets the lease is told; its `id` is filled in.
        status: Makes the status; its `id` is filled in.
    """

    def __init__(
        self,
        *,
        socket: Socket,
        device: RobotDevice,
        lease: Lease,
        counters: Counters,
        welcome: calls.Welcome,
        status: Callable[[], calls.DriverStatus],
    ) -> None:
        self._socket = socket
        self._device = device
        self._lease = lease
        self._counters = counters
        self._welcome = welcome
        self._status = status

    def run(self, halt: threading.Event) -> None:
        """Serve until halted."""
        while not halt.is_set():
            if self._socket.poll(_POLL_MS):
                *envelope, data = self._socket.recv_multipart(zmq.NOBLOCK)
                self._socket.send_multipart([*envelope, encode(self.answer(data))], zmq.NOBLOCK)

    def answer(self, data: bytes) -> calls.Reply:
        """The reply to one message, whatever it is."""
        try:
            call = calls.CALLS.decode(data)
        except MessageError as error:
            self._counters.malformed_calls += 1
            return calls.Failure(id=0, reason=str(error)[:1000])
        self._counters.calls += 1
        self._lease.heard(call.session, time.monotonic_ns())
        try:
            return self._dispatch(call)
        except EmbodimentError as error:
            return calls.Failure(id=call.id, reason=str(error)[:1000])

    def _dispatch(self, call: calls.Call) -> calls.Reply:
        match call:
            case calls.Ping():
                return calls.Pong(id=call.id, stamp_ns=time.monotonic_ns())
            case calls.Hello():
                return self._greet(call)
            case calls.GetStatus():
                return msgspec.structs.replace(self._status(), id=call.id)
            case calls.Stop():
                self._lease.stop()
            case calls.Goodbye():
                self._lease.release(call.session)
            case calls.TaskBegin() | calls.TaskEnd():
                return self._task(call)
        return calls.Done(id=call.id)

    def _greet(self, hello: calls.Hello) -> calls.Reply:
        welcome = self._welcome
        if hello.protocol != PROTOCOL:
            reason = f"this driver speaks protocol {PROTOCOL}, the client {hello.protocol}; use one unichunk version"
        elif hello.embodiment != welcome.embodiment:
            reason = f"this driver drives {welcome.embodiment!r}, the client expects {hello.embodiment!r}"
        elif not hello.session:
            reason = "a session needs a name"
        elif self._lease.was_stopped(hello.session):
            reason = "the robot was told to stop: end this session and begin another one"
        elif not self._lease.claim(hello.session, now_ns := time.monotonic_ns()):
            silence_s = self._lease.silence_ns(now_ns) / 1e9
            reason = (
                f"another session commands this robot and was heard {silence_s:.1f} s ago; "
                "end it, or try again when it is gone"
            )
        else:
            return msgspec.structs.replace(welcome, id=hello.id)
        return calls.Refused(id=hello.id, reason=reason)

    def _task(self, call: calls.TaskBegin | calls.TaskEnd) -> calls.Reply:
        if call.session != self._lease.holder:
            return calls.Failure(id=call.id, reason="this session does not hold the robot; connect first")
        if isinstance(call, calls.TaskBegin):
            return calls.TaskBegun(id=call.id, unmeasured=self._device.task_begin(call.instruction)[:1000])
        numbers = dict(self._device.task_end())
        self._lease.heard(call.session, time.monotonic_ns())
        return calls.TaskNumbers(id=call.id, numbers=numbers)
