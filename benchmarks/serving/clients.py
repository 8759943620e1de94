"""Clients as the load generator uses them: made, asked again and again, closed.

Runs in the environments of peers, too: what a client needs is imported where it is made.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from unichunk.benchmarks.serving.observations import ROWS, WIDTH, droid_observation, filled, groot_observation

if TYPE_CHECKING:
    from collections.abc import Callable

OPENPI_CLIENT: Final = "openpi_client.websocket_client_policy"
GROOT_PACKAGES: Final = ("msgpack", "msgpack_numpy")
"""What only the peers' environment has."""

WAIT_MS: Final = 10_000
"""Longest that a ZeroMQ client waits for an answer; openpi's waits for ever."""


class Client(Protocol):
    """One connection."""

    def trip(self) -> None:
        """Ask once and wait for the answer.

        Raises:
            Exception: Whatever the client raises where there is none.
        """
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class ClientFailed(RuntimeError):
    """An answer that is none."""


class OpenpiClient:
    """`openpi_client.websocket_client_policy.WebsocketClientPolicy` as it comes.

    Args:
        address: ws://...; with `#example` at its end it sends the server's own example, else a DROID observation.
    """

    def __init__(self, address: str) -> None:
        url, _, own = address.partition("#")
        self._policy = import_module(OPENPI_CLIENT).WebsocketClientPolicy(url)
        metadata = self._policy.get_server_metadata()
        self._observation = filled(metadata["example_observation"]) if own else droid_observation()
        self._shape = None if own else (ROWS, WIDTH)

    def trip(self) -> None:
        """Infer once."""
        actions = self._policy.infer(self._observation)["actions"]
        if self._shape is not None and actions.shape != self._shape:
            raise ClientFailed(f"expected actions of shape {self._shape}, got {actions.shape}")

    def close(self) -> None:
        """Close the connection; the class itself has nothing for that."""
        self._policy._ws.close()  # noqa: SLF001


class GrootClient:
    """A client of GR00T N1.7, after what it is known to send: REQ, msgpack with the package msgpack-numpy.

    Args:
        address: tcp://...
    """

    def __init__(self, address: str) -> None:
        import zmq  # noqa: PLC0415

        msgpack, msgpack_numpy = (import_module(name) for name in GROOT_PACKAGES)
        self._pack: Callable[[Any], bytes] = partial(msgpack.packb, default=msgpack_numpy.encode)
        self._unpack: Callable[[bytes], Any] = partial(msgpack.unpackb, object_hook=msgpack_numpy.decode)
        self._request = {
            "endpoint": "get_action",
            "data": {"observation": groot_observation(), "options": None},
        }
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, WAIT_MS)
        self._socket.connect(address)

    def trip(self) -> None:
        """Get one action."""
        self._socket.send(self._pack(self._request))
        answer = self._unpack(self._socket.recv())
        if isinstance(answer, dict) and "error" in answer:
            raise ClientFailed(answer["error"])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class EchoClient:
    """Bare bytes over REQ.

    Args:
        address: tcp://...#SENT,ASKED: bytes there and back.
    """

    def __init__(self, address: str) -> None:
        import zmq  # noqa: PLC0415

        from unichunk.benchmarks.serving.echo import ASKED  # noqa: PLC0415

        endpoint, _, sizes = address.partition("#")
        sent, self._asked = map(int, sizes.split(","))
        self._request = ASKED.pack(self._asked) + bytes(sent - ASKED.size)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, WAIT_MS)
        self._socket.connect(endpoint)

    def trip(self) -> None:
        """There and back."""
        self._socket.send(self._request)
        if len(self._socket.recv()) != self._asked:
            raise ClientFailed("the echo is of another length")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


CLIENTS: Final[dict[str, Callable[[str], Client]]] = {
    "openpi": OpenpiClient,
    "groot": GrootClient,
    "echo": EchoClient,
}
"""By name; our own is in `lean_client`, which needs this project."""


def connect(kind: str, address: str) -> Client:
    """A client that is connected.

    Args:
        kind: Its name.
        address: Where to.
    """
    if kind == "lean":
        from unichunk.benchmarks.serving.lean_client import LeanClient  # noqa: PLC0415

        made: Client = LeanClient(address)
        return made
    return CLIENTS[kind](address)
