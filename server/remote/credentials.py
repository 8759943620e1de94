"""What a client shows a policy server, and by what it knows the server."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  fields of a dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.private_file import read_private
from unichunk.server.wire.curve import load_client_pair

if TYPE_CHECKING:
    from unichunk.server.remote.address import Address
    from unichunk.server.wire.curve import ClientPair

KEY_VARIABLE: Final = "UNICHUNK_API_KEY"
LONGEST_KEY: Final = 512


@dataclass(frozen=True)
class Credentials:
    """All of them optional.

    Attributes:
        key: API key; empty for none.
        ca: File of certificates that a server's may be signed with; None: the system's.
        curve: CURVE keys, for ZeroMQ; None: the connection is not encrypted.
    """

    key: str = ""
    ca: Path | None = None
    curve: ClientPair | None = None

    def __repr__(self) -> str:
        # The key must not reach a log, whoever prints this.
        return f"Credentials(key={'...' if self.key else ''!r}, ca={self.ca}, curve={self.curve})"

    def tls(self) -> ssl.SSLContext:
        """For `wss://`: the server must prove its name.

        Raises:
            UnichunkError: Where the file of certificates cannot be used.
        """
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or "no certificates in PEM form"
            raise UnichunkError(f"--policy-ca {self.ca}: {reason}; expected a file of certificates") from None


def read_credentials(
    address: Address,
    *,
    key_file: Path | None = None,
    ca: Path | None = None,
    curve: Path | None = None,
    plain_key: bool = False,
    options: str = "--policy-",
) -> Credentials:
    """Read what a user gave for an address.

    Args:
        address: The server.
        key_file: File with the API key; None: the variable UNICHUNK_API_KEY, if it is set.
        ca: File of certificates, for `wss://`.
        curve: `NAME.client.json`, for `zmq://`.
        plain_key: Whether a key may leave this machine over a connection that is not encrypted.
        options: How the options begin that they were given with, for messages.

    Raises:
        UnichunkError: Where a file cannot be used, or is for another kind of address, or where the key could be read on
            its way; one line.
    """
    if ca is not None and not address.secure:
        raise UnichunkError(f"{options}ca: only wss:// has certificates, the policy is {address.text}")
    if curve is not None and (address.transport != "zmq" or address.path):
        raise UnichunkError(f"{options}curve: only zmq:// over TCP has CURVE keys, the policy is {address.text}")
    credentials = Credentials(_key(key_file, options), ca, None if curve is None else load_client_pair(curve))
    if credentials.key and not (address.is_here or address.secure or curve is not None or plain_key):
        encrypted = "wss://" if address.transport == "ws" else f"{options}curve"
        raise UnichunkError(
            f"policy {address.text}: the API key would be sent in plain text; use {encrypted}, or {options}plain-key "
            "where a tunnel encrypts everything"
        )
    if address.secure:
        credentials.tls()
    return credentials


def _key(file: Path | None, options: str) -> str:
    if file is None:
        key, origin = os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE
    else:
        origin = f"{options}key-file {file}"
        key = read_private(file, "the API key")[0].decode("ascii", "replace").strip()
        if not key:
            raise UnichunkError(f"{origin}: is empty; expected an API key")
    if len(key) > LONGEST_KEY or not all("!" <= sign <= "~" for sign in key):
        raise UnichunkError(f"{origin}: expected an API key, at most {LONGEST_KEY} printable characters on one line")
    return key
