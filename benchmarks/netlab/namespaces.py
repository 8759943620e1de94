"""Network namespaces without names: they live as long as a file is open on them, and leave nothing behind."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

OWN: Final = Path("/proc/thread-self/ns/net")
MTU: Final = 1500
QUEUE: Final = 10_000
"""Packets that a device keeps for whoever reads it."""

_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_IFF_UP: Final = 0x1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_SIOCSIFMTU, _SIOCSIFTXQLEN = 0x8922, 0x8943


class NamespacesUnavailable(RuntimeError):
    """The system does not permit what is needed; one line says what."""


def new_namespace() -> int:
    """Move the calling thread into a network namespace of its own, its loopback up.

    Returns:
        A file that keeps the namespace.

    Raises:
        NamespacesUnavailable: Where it is not permitted.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise NamespacesUnavailable(f"needs root for network namespaces: {os.strerror(number)}")
    _set_up("lo")
    return os.open(OWN, os.O_RDONLY)


def open_tun(name: str) -> int:
    """A TUN device in the calling thread's namespace: what its kernel sends there can be read, and the other way.

    Args:
        name: Of the device.

    Returns:
        Its file, one packet a read and a write, not blocking; the device goes with it.

    Raises:
        NamespacesUnavailable: Where it is not permitted.
    """
    try:
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise NamespacesUnavailable(f"needs TUN devices: /dev/net/tun: {error.strerror}") from None
    try:
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        os.close(file)
        raise NamespacesUnavailable(f"needs TUN devices: {error.strerror}") from None
    return file


def configure(name: str, address: str, netmask: str) -> None:
    """Give a device of the calling thread's namespace an address, and set it up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, netmask)):
            packed = struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, packed)
        fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), MTU))
        fcntl.ioctl(control, _SIOCSIFTXQLEN, struct.pack("16si20x", name.encode(), QUEUE))
    _set_up(name)


def enter(namespace: int) -> None:
    """Move the calling thread into a namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        if number == errno.EPERM:
            raise NamespacesUnavailable(f"needs root for network namespaces: {os.strerror(number)}")
        raise OSError(number, os.strerror(number))


def call_inside(namespace: Path, function: Callable[[], T]) -> T:
    """What a function returns that is called within a namespace: sockets that it makes stay there.

    Args:
        namespace: A file of it.
        function: Called in a thread of its own.
    """
    returned: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            file = os.open(namespace, os.O_RDONLY)
            try:
                enter(file)
            finally:
                os.close(file)
            returned.append(function())
        except BaseException as failure:  # noqa: BLE001  raised where the function was called
            failed.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return returned[0]


def _set_up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
        (flags,) = struct.unpack_from("H", asked, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | _IFF_UP))
