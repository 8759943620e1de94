"""A WebSocket to a policy server, in the calling thread: no helper thread, and every wait has a deadline."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.remote.connection import CONNECT_S, HANDSHAKE_S, ConnectionLost, Forbidden, Unreachable
from unichunk.server.wire.lean import SUBPROTOCOL

if TYPE_CHECKING:
    from websockets.client import ClientProtocol
    from websockets.http11 import Response

    from unichunk.server.remote.address import Address
    from unichunk.server.remote.credentials import Credentials

MOST_ANSWER_BYTES: Final = 16 * 2**20
USER_TIMEOUT_MS: Final = 3000
"""Data that the other side has not acknowledged for this long ends a connection, [ms]; the kernel's own patience is a
quarter of an hour."""

_RECEIVE_BYTES: Final = 256 * 1024
_CLOSE_S: Final = 0.05
_LATER: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class WebSocketDialer:
    """Opens WebSockets to one address. The host's name is looked up once: a lookup has no deadline.

    Args:
        address: Where.
        credentials: What to show, and what to demand.
        subprotocol: What has to be spoken there; None: what needs no name, as openpi's protocol.

    Raises:
        UnichunkError: Without the `websockets` package, or where the host's name is unknown.
    """

    def __init__(self, address: Address, credentials: Credentials, subprotocol: str | None = SUBPROTOCOL) -> None:
        _require_websockets()
        self._address = address
        self._credentials = credentials
        self._subprotocol = subprotocol
        self._tls = credentials.tls() if address.secure else None
        try:
            self._places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UnichunkError(f"policy {address.text}: the host's name cannot be looked up: {error}") from None
        self._next = 0

    def dial(self) -> WebSocketConnection:
        """Connect; each attempt tries the host's next address."""
        family, kind, protocol, _, place = self._places[self._next % len(self._places)]
        self._next += 1
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(CONNECT_S)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            raw.connect(place)
            deadline = time.monotonic() + HANDSHAKE_S
            if self._tls is not None:
                raw.settimeout(max(0.001, deadline - time.monotonic()))
                raw = self._tls.wrap_socket(raw, server_hostname=self._address.host)
            connection = WebSocketConnection(raw, self._protocol(), self._subprotocol)
            connection.shake_hands(self._credentials.key, deadline)
        except ssl.SSLCertVerificationError as error:
            raw.close()
            raise Forbidden(
                f"the certificate of {self._address.text} cannot be trusted ({error.verify_message}): give the file of "
                "its authority with --policy-ca"
            ) from None
        except ConnectionLost as error:
            raw.close()
            raise Unreachable(str(error)) from None
        except OSError as error:
            raw.close()
            raise Unreachable(_reason(error)) from None
        except BaseException:
            raw.close()
            raise
        return connection

    def close(self) -> None:
        """Nothing is shared."""

    def _protocol(self) -> ClientProtocol:
        from websockets.client import ClientProtocol  # noqa: PLC0415  an extra: only who asks for ws:// needs it
        from websockets.typing import Subprotocol  # noqa: PLC0415
        from websockets.uri import WebSocketURI  # noqa: PLC0415

        address = self._address
        uri = WebSocketURI(address.secure, address.host, address.port, f"/{address.policy}", "", None, None)
        spoken = None if self._subprotocol is None else [Subprotocol(self._subprotocol)]
        return ClientProtocol(uri, subprotocols=spoken, max_size=MOST_ANSWER_BYTES)


class WebSocketConnection:
    """One open WebSocket.

    Args:
        raw: The socket, connected.
        protocol: The protocol's own state; it does no input or output.
        subprotocol: What the server has to choose; None: nothing.
    """

    def __init__(self, raw: socket.socket, protocol: ClientProtocol, subprotocol: str | None = SUBPROTOCOL) -> None:
        self._socket = raw
        self._protocol = protocol
        self._subprotocol = subprotocol
        self._messages: deque[bytes] = deque()
        self._parts: list[bytes] = []

    def shake_hands(self, key: str, deadline: float) -> None:
        """HTTP's part, at the beginning.

        Raises:
            Unreachable, Forbidden, ConnectionLost: Where the server does not let us in.
        """
        request = self._protocol.connect()
        if key:
            request.headers["Authorization"] = f"Api-Key {key}"
        self._protocol.send_request(request)
        self._flush(deadline)
        while True:
            events = self._read(deadline)
            if events is None:
                raise Unreachable("no answer to the WebSocket handshake: is that a policy server?")
            if self._protocol.handshake_exc is not None:
                raise _refusal(events[0] if events else None, self._protocol.handshake_exc)
            if events:
                self._take(events[1:])
                break
        if self._protocol.subprotocol != self._subprotocol:
            raise Forbidden(f"the server does not speak {self._subprotocol}: is it a server of unichunk?")

    def send(self, message: bytes, deadline: float) -> None:
        """Send a message in one frame."""
        self._check_open()
        self._protocol.send_binary(message)
        self._flush(deadline)

    def receive(self, deadline: float) -> bytes | None:
        """The next message; None where none has come by then."""
        while not self._messages:
            self._check_open()
            events = self._read(deadline)
            if events is None:
                return None
            self._take(events)
            # Pings are answered.
            self._flush(max(deadline, time.monotonic() + _CLOSE_S))
        return self._messages.popleft()

    def close(self) -> None:
        """Say goodbye if that needs no waiting, and hang up."""
        from websockets.protocol import OPEN  # noqa: PLC0415

        try:
            if self._protocol.state is OPEN:
                self._protocol.send_close(1000)
                self._flush(time.monotonic() + _CLOSE_S)
        except ConnectionLost:
            pass
        finally:
            self._socket.close()

    def _read(self, deadline: float) -> list[Any] | None:
        """What the next bytes mean; None where there are none by then."""
        try:
            self._socket.settimeout(max(0.0, deadline - time.monotonic()))
            data = self._socket.recv(_RECEIVE_BYTES)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise ConnectionLost(_reason(error)) from None
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        return self._protocol.events_received()

    def _take(self, events: list[Any]) -> None:
        from websockets.frames import Opcode  # noqa: PLC0415

        for frame in events:
            if frame.opcode in {Opcode.BINARY, Opcode.TEXT, Opcode.CONT}:
                self._parts.append(frame.data)
                if frame.fin:
                    self._messages.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
                    self._parts = []

    def _flush(self, deadline: float) -> None:
        try:
            for data in self._protocol.data_to_send():
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionLost(_reason(error)) from None

    def _check_open(self) -> None:
        from websockets.protocol import OPEN  # noqa: PLC0415

        if self._protocol.state is not OPEN:
            code, said = self._protocol.close_code, self._protocol.close_reason
            raise ConnectionLost(f"the server closed the connection ({code}{f': {said}' if said else ''})")


def _refusal(response: Response | None, error: Exception) -> UnichunkError:
    """What a handshake means that did not end in a WebSocket."""
    status = getattr(response, "status_code", None)
    if response is None or status is None:
        return Unreachable(f"no WebSocket there ({_reason(error)})")
    body = " ".join((response.body or b"")[:300].decode(errors="replace").split())
    said = body if body.isprintable() else ""
    if status in _LATER:
        after = response.headers.get("Retry-After", "")
        return Unreachable(said or f"HTTP status {status}", float(after) if after.isdecimal() else None)
    if status == 101:
        return Forbidden(f"the server does not speak {SUBPROTOCOL}: is it a server of unichunk?")
    return Forbidden(f"the server refuses the connection (HTTP status {status}{f': {said}' if said else ''})")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def _require_websockets() -> None:
    try:
        import websockets  # noqa: F401, PLC0415  an extra: only who asks for ws:// needs it
    except ImportError:
        raise UnichunkError(
            "ws:// and wss:// need the package websockets: pip install 'unichunk[remote]'; zmq:// needs nothing more"
        ) from None
