"""Files of CURVE keys, and what a client sets on its ZeroMQ socket to use one.

CURVE encrypts a ZeroMQ connection and proves both ends: the client knows the server's public key beforehand, and the
server knows the public keys of its clients. `unichunk keys curve` writes all files.

| file                | who has it        | what is in it                                                          |
|---------------------|-------------------|------------------------------------------------------------------------|
| `server.json`       | the server        | its pair; mode 0600                                                    |
| `clients/NAME.json` | the server        | a client's public key and role; removing the file locks the client out |
| `NAME.client.json`  | that client alone | its pair and the server's public key; mode 0600; to be moved to it     |

Keys are in Z85, 40 characters, as `zmq.curve_keypair()` makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
import zmq
from msgspec import Meta

from unichunk.server.private_file import PrivateFileError, read_private

if TYPE_CHECKING:
    import os
    from pathlib import Path

Z85: Final = r"\A[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}\Z"

Key = Annotated[str, Meta(pattern=Z85)]
T = TypeVar("T", bound="_Pair")


class _Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    public: Key
    secret: Key

    def __repr__(self) -> str:
        # The secret must not reach a log, whoever prints this.
        return f"{type(self).__name__}(public={self.public!r})"


class ServerPair(_Pair, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server's keys, the content of `server.json`.

    Attributes:
        public, secret: The pair.
    """

    format: Literal["unichunk-curve-server-1"] = "unichunk-curve-server-1"


class ClientPair(_Pair, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client's keys, the content of `NAME.client.json`.

    Attributes:
        public, secret: The pair.
        server: The server's public key: whoever cannot prove to have its secret is not talked to.
    """

    server: Key
    format: Literal["unichunk-curve-client-1"] = "unichunk-curve-client-1"

    def use(self, socket: zmq.Socket[bytes]) -> None:
        """Make a socket that is not connected yet speak CURVE with these keys, and nothing else."""
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.public.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.secret.encode())
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server.encode())


def load_server_pair(path: Path) -> ServerPair:
    """Read `server.json`.

    Raises:
        PrivateFileError: Where it cannot be read, others can read it, or its keys are no pair; one line.
    """
    return _load(path, ServerPair, "CURVE key of the server")[0]


def load_client_pair(path: Path) -> ClientPair:
    """Read a `NAME.client.json`.

    Raises:
        PrivateFileError: Where it cannot be read, others can read it, or its keys are no pair; one line.
    """
    return _load(path, ClientPair, "CURVE key")[0]


def _load(path: Path, kind: type[T], what: str) -> tuple[T, os.stat_result]:
    if not zmq.has("curve"):
        raise PrivateFileError(f"{what} {path}: this ZeroMQ cannot encrypt; install pyzmq from its own wheels")
    content, state = read_private(path, what)
    try:
        pair = msgspec.json.decode(content, type=kind)
        expected = zmq.curve_public(pair.secret.encode()).decode()
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PrivateFileError(f"{what} {path}: {error}; `unichunk keys curve` writes such files") from None
    except (zmq.ZMQError, ValueError):
        raise PrivateFileError(f"{what} {path}: secret: expected a key in Z85") from None
    if pair.public != expected:
        raise PrivateFileError(f"{what} {path}: public: is not the secret's; expected the two keys of one pair")
    return pair, state
