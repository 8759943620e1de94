"""A driver's listening sockets, and the claim that keeps a second driver off the same address."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import zmq

from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.link.endpoints import check_endpoint, ipc_path, stream_endpoint
from unichunk.embodiments.link.sockets import MAX_CALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.embodiments.link.sockets import Context, Socket

_GOODBYE_MS: Final = 200
_QUEUE: Final = 64


class DriverSockets:
    """All sockets of a driver, bound; each is then used by one thread.

    Args:
        endpoint: The control address.
        cameras: The cameras' names.

    Raises:
        DriverError: Where an address cannot be used, with what to do.
        LinkError: Where the endpoint is no address.
    """

    def __init__(self, endpoint: str, cameras: Iterable[str]) -> None:
        with ExitStack() as stack:
            _claim(check_endpoint(endpoint), stack)
            context: Context = zmq.Context()
            stack.callback(context.term)
            self.control = _bind(context, zmq.ROUTER, endpoint, stack)
            self.endpoint = _address(self.control)
            self.command = _bind(context, zmq.PULL, stream_endpoint(self.endpoint, "command"), stack)
            self.state = _bind(context, zmq.PUB, stream_endpoint(self.endpoint, "state"), stack)
            self.cameras = {
                name: _bind(context, zmq.PUB, stream_endpoint(self.endpoint, f"camera{i}"), stack)
                for i, name in enumerate(cameras)
            }
            self._stack = stack.pop_all()

    @property
    def command_endpoint(self) -> str:
        """Where commands go."""
        return _address(self.command)

    @property
    def state_endpoint(self) -> str:
        """Where states come from."""
        return _address(self.state)

    @property
    def camera_endpoints(self) -> dict[str, str]:
        """Camera name -> where its frames come from."""
        return {name: _address(socket) for name, socket in self.cameras.items()}

    def close(self) -> None:
        """Close all sockets, then give up the address. No thread may use them any more."""
        self._stack.close()


def _claim(endpoint: str, stack: ExitStack) -> None:
    """Lock an `ipc` address.

    ZeroMQ takes over the path of a living driver without a word; two drivers would then move one robot. The lock
    goes with its process, however that ends, and its file may stay.
    """
    path = ipc_path(endpoint)
    if path is None:
        return
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DriverError(f"cannot listen on {endpoint}: {error.strerror}; choose another --endpoint") from None
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DriverError(f"another driver is listening on {endpoint}: stop it or choose another --endpoint") from None


def _bind(context: Context, kind: int, endpoint: str, stack: ExitStack) -> Socket:
    socket = context.socket(kind)
    stack.callback(socket.close)
    # Only replies are worth waiting for when the driver ends.
    socket.setsockopt(zmq.LINGER, _GOODBYE_MS if kind == zmq.ROUTER else 0)
    if kind in (zmq.ROUTER, zmq.PULL):
        # Nobody may make the driver allocate more than a call takes; ZeroMQ hangs up on who tries.
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_CALL_BYTES)
    if kind == zmq.PULL:
        # One queue per sender, served in turn: a flood from elsewhere cannot crowd out the session's commands.
        socket.setsockopt(zmq.RCVHWM, _QUEUE)
    if kind == zmq.PUB:
        socket.setsockopt(zmq.CONFLATE, 1)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise DriverError(f"cannot listen on {endpoint}: {error.strerror}; choose another --endpoint") from None
    if path := ipc_path(endpoint):
        stack.callback(path.unlink, missing_ok=True)
    return socket


def _address(socket: Socket) -> str:
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)
