"""Sockets with the options that this link needs: nothing lingers, nothing grows, newest wins where it is meant."""

from __future__ import annotations

import math
import time
from typing import Final, TypeAlias

import zmq

from unichunk.embodiments.link.arrays import MAX_ARRAY_BYTES

Socket: TypeAlias = "zmq.Socket[bytes]"
Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"

MAX_CALL_BYTES: Final = 64 * 1024
MAX_STREAM_BYTES: Final = MAX_ARRAY_BYTES + 64 * 1024

_RECONNECT_MS: Final = 20
_RECONNECT_MAX_MS: Final = 200


def subscribe(context: Context, endpoint: str) -> Socket:
    """A subscription that keeps the newest message only. Blocks never: a publisher may come later."""
    socket = _connecting(context, zmq.SUB)
    socket.setsockopt(zmq.CONFLATE, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_STREAM_BYTES)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(endpoint)
    return socket


def push(context: Context, endpoint: str) -> Socket:
    """A sender of commands: the newest replaces what has not left yet, and without a driver sending fails at once."""
    socket = _connecting(context, zmq.PUSH)
    socket.setsockopt(zmq.CONFLATE, 1)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.connect(endpoint)
    return socket


def dial(context: Context, endpoint: str) -> Socket:
    """A caller's end of the control socket."""
    socket = _connecting(context, zmq.DEALER)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_CALL_BYTES)
    socket.connect(endpoint)
    return socket


def receive(socket: Socket) -> bytes | None:
    """The next message if there is one; never waits."""
    try:
        return socket.recv(zmq.NOBLOCK)
    except zmq.Again:
        return None


def wait_readable(*sockets: Socket, deadline_s: float) -> bool:
    """Wait until any of them has something to receive, at most until a moment of `time.monotonic`, [s]."""
    remaining = max(0.0, deadline_s - time.monotonic())
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    return bool(poller.poll(math.ceil(remaining * 1000)))


def _connecting(context: Context, kind: int) -> Socket:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    return socket
