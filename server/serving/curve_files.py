"""Writing CURVE keys: the server's pair, and for each client its pair and what the server keeps of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
import zmq

from unichunk.server.private_file import PrivateFileError, change_private, make_private_folder, write_private
from unichunk.server.serving.curve import ClientKey
from unichunk.server.usage_error import UsageError
from unichunk.server.wire.curve import ClientPair, ServerPair, load_server_pair

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.serving.identity import Role

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_WHAT: Final = "CURVE key"


def make_server_pair(folder: Path) -> tuple[ServerPair, bool]:
    """The server's pair, made where there is none.

    Args:
        folder: Of the keys; made where there is none, for its owner alone.

    Returns:
        The pair, and whether it was made now.

    Raises:
        PrivateFileError: Where it cannot be read or written; one line.
    """
    path = folder / "server.json"
    for one in (folder, folder / "clients"):
        make_private_folder(one, _WHAT)
    if path.exists():
        return load_server_pair(path), False
    public, secret = _pair()
    pair = ServerPair(public=public, secret=secret)
    write_private(path, _json(pair), _WHAT, new=True)
    return pair, True


def add_client(folder: Path, name: str, role: Role, server: ServerPair) -> Path:
    """Make a client's keys.

    Args:
        folder: Of the keys.
        name: Of the client, and of its files.
        role: What it may do.
        server: The server's pair.

    Returns:
        The file for the client alone.

    Raises:
        UsageError: Where the name cannot be a file's.
        PrivateFileError: Where there is a client of this name, or its files cannot be written; one line.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"client {name!r}: expected 1 to 63 letters, digits, dots, dashes, underscores, such as arm-1")
    public, secret = _pair()
    known, own = folder / "clients" / f"{name}.json", folder / f"{name}.client.json"

    def add() -> None:
        # The server's side first: it may know a client that nobody is, but a client must not have a key that looks
        # good and is not.
        write_private(known, _json(ClientKey(name=name, role=role, public=public)), _WHAT, mode=0o644, new=True)
        try:
            pair = ClientPair(public=public, secret=secret, server=server.public)
            write_private(own, _json(pair), _WHAT, new=True)
        except PrivateFileError:
            known.unlink()
            raise

    change_private(own, add, _WHAT)
    return own


def _pair() -> tuple[str, str]:
    if not zmq.has("curve"):
        raise PrivateFileError(f"{_WHAT}: this ZeroMQ cannot encrypt; install pyzmq from its own wheels")
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _json(content: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
