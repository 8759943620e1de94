"""CurveZMQ on the server's side: which clients may connect, and who each of them is.

ZeroMQ asks a handler about every connection (ZAP, RFC 27), over a socket inside the process. Here it is a task of the
front's own event loop. `CurveDoor.guard` does two things that are easily forgotten: without a handler ZeroMQ would let
every client in that knows the server's public key (`ZAP_ENFORCE_DOMAIN` makes it let nobody in instead), and without
`CURVE_SERVER` a socket would speak plain text.
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
import zmq
import zmq.asyncio
from msgspec import Meta
from zmq.utils import z85

from unichunk.server.private_file import PrivateFileError, read_private
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.key_record import MAX_NAME, check_name
from unichunk.server.wire.curve import Key, load_server_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"
DOMAIN: Final = b"unichunk"
USER_ID: Final = "User-Id"
"""Property of a received frame (`frame.get(USER_ID)`) that says whose connection it came on."""

LOOK_EVERY_S: Final = 1.0
"""How long a client's file that came or went may go unnoticed, [s]."""

HANDSHAKE_MS: Final = 10_000
"""A connection that has not proved itself after this long is closed, [ms]."""

MAX_CLIENTS: Final = 1024

_FRAMES: Final = 6
_KEY_BYTES: Final = 32


class ClientKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client that may connect, the content of `clients/NAME.json`.

    Attributes:
        name: Whose it is, one printable line.
        role: What it may do.
        public: Its public key.
    """

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    role: Role
    public: Key
    format: Literal["unichunk-curve-public-1"] = "unichunk-curve-public-1"

    def __post_init__(self) -> None:
        check_name(self.name)
        _binary(self.public)

    @property
    def identity(self) -> Identity:
        """Who it is. Z85 has characters that labels and logs would quote, so the name stands in the id."""
        return Identity(f"curve-{self.name}", self.name, self.role)


class CurveClients:
    """The clients of a folder of CURVE keys, which is looked at again while the server runs.

    Args:
        folder: With `clients/*.json` in it.
        clock: A monotonic clock, [s].

    Raises:
        PrivateFileError: Where a file in it cannot be used; one line.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder / "clients"
        self._clock = clock
        self._trouble = ""
        self._files: dict[str, tuple[tuple[int, ...], ClientKey]] = {}
        self._by_key: dict[bytes, Identity] = {}
        self._by_id: dict[str, Identity] = {}
        self._by_user: dict[str, Identity] = {}
        self._read()
        self._looked = clock()

    @property
    def trouble(self) -> str:
        """Why a changed folder is not used, one line; empty where all is well."""
        self._look()
        return self._trouble

    def __len__(self) -> int:
        self._look()
        return len(self._by_id)

    def identify(self, public: bytes) -> Identity | None:
        """Whose public key this is.

        Args:
            public: 32 bytes.
        """
        self._look()
        return self._by_key.get(public)

    def identity(self, user_id: object) -> Identity | None:
        """Who a frame is from: the one whom `USER_ID` names, as long as its file is there and has the same key."""
        self._look()
        return self._by_user.get(user_id) if isinstance(user_id, str) else None

    def is_current(self, identity: Identity) -> bool:
        """Whether a client who connected earlier may still be served."""
        self._look()
        return self._by_id.get(identity.id) == identity

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        try:
            self._read()
        except PrivateFileError as error:
            self._trouble = f"{error}; the clients read before may still connect"

    def _read(self) -> None:
        files = dict(self._found())
        identities = {name: key.identity for name, (_, key) in files.items()}
        by_key = {_binary(key.public): identities[name] for name, (_, key) in files.items()}
        by_id = {identity.id: identity for identity in identities.values()}
        by_user = {_user_id(identity, key): identity for key, identity in by_key.items()}
        if not len(by_key) == len(by_id) == len(files):
            raise PrivateFileError(f"CURVE clients {self._folder}: expected each key and each name once")
        self._files, self._by_key, self._by_id, self._by_user, self._trouble = files, by_key, by_id, by_user, ""

    def _found(self) -> list[tuple[str, tuple[tuple[int, ...], ClientKey]]]:
        try:
            with os.scandir(self._folder) as entries:
                found = [(entry.name, _state(entry.stat())) for entry in entries if entry.name.endswith(".json")]
        except OSError as error:
            raise PrivateFileError(f"CURVE clients {self._folder}: cannot be read: {error.strerror}") from None
        if len(found) > MAX_CLIENTS:
            raise PrivateFileError(f"CURVE clients {self._folder}: expected at most {MAX_CLIENTS} files")
        return [(name, (state, self._key(name, state))) for name, state in sorted(found)]

    def _key(self, name: str, state: tuple[int, ...]) -> ClientKey:
        known = self._files.get(name)
        return known[1] if known is not None and known[0] == state else read_client_key(self._folder / name)


class CurveDoor:
    """Lets known clients in on sockets of one context.

    Args:
        folder: As `unichunk keys curve` writes it.

    Raises:
        PrivateFileError: Where the server's pair or a client's file cannot be used; one line.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pair = load_server_pair(folder / "server.json")
        self.clients = CurveClients(folder, clock=clock)
        self._handler: zmq.asyncio.Socket | None = None

    @property
    def public(self) -> str:
        """The server's public key, which its clients need."""
        return self._pair.public

    def open(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Begin to answer for a context; before any of its sockets is bound, and once for each context.

        Raises:
            PrivateFileError: Where the context has another handler already.
        """
        handler = zmq.asyncio.Socket(context, zmq.REP)
        handler.linger = 0
        try:
            handler.bind(ZAP_ENDPOINT)
        except zmq.ZMQError as error:
            handler.close()
            raise PrivateFileError(f"CURVE: {ZAP_ENDPOINT}: {error}; expected one handler for a context") from None
        self._handler = handler

    def guard(self, socket: zmq.Socket[bytes]) -> None:
        """Make a socket that is not bound yet let in only clients that this door knows."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._pair.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)

    async def serve(self) -> None:
        """Answer ZeroMQ's questions until cancelled, or until `close`; one task of the loop."""
        handler = self._handler
        assert handler is not None
        while not handler.closed:
            frames = await handler.recv_multipart()
            await handler.send_multipart(self.answer(frames))

    def answer(self, frames: Sequence[bytes]) -> list[bytes]:
        """The answer to one question.

        Args:
            frames: Version, request id, domain, address, routing id, mechanism, credentials.

        Returns:
            Version, request id, status, its reason, the user's id, no metadata.
        """
        request = frames[1] if len(frames) > 1 else b""
        if len(frames) != _FRAMES + 1 or frames[0] != b"1.0":
            return _reply(request, b"500", b"malformed request")
        domain, mechanism, credentials = frames[2], frames[5], frames[6]
        if domain != DOMAIN or mechanism != b"CURVE" or len(credentials) != _KEY_BYTES:
            return _reply(request, b"400", b"expected CURVE")
        identity = self.clients.identify(credentials)
        if identity is None:
            return _reply(request, b"400", b"unknown key")
        return _reply(request, b"200", b"OK", _user_id(identity, credentials).encode())

    def close(self) -> None:
        """End answering: from now on nobody new is let in."""
        if self._handler is not None:
            self._handler.close()
            self._handler = None


def read_client_key(path: Path) -> ClientKey:
    """Read a `clients/NAME.json`.

    Raises:
        PrivateFileError: Where it cannot be read or holds something else; one line.
    """
    content, _ = read_private(path, "CURVE client", secret=False)
    try:
        return msgspec.json.decode(content, type=ClientKey)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PrivateFileError(f"CURVE client {path}: {error}; `unichunk keys curve` writes such files") from None


def _reply(request: bytes, status: bytes, reason: bytes, user: bytes = b"") -> list[bytes]:
    return [b"1.0", request, status, reason, user, b""]


def _user_id(identity: Identity, public: bytes) -> str:
    # With the key: a connection of the key that a name had before must not go on as the name's new one.
    return f"{identity.id} {z85.encode(public).decode()}"


def _binary(key: str) -> bytes:
    try:
        return z85.decode(key.encode())
    except struct.error:
        raise ValueError("expected a key in Z85") from None


def _state(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
