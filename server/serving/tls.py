"""TLS for HTTP and WebSocket: the certificate, its key, and a context that takes renewed ones while the server runs.

What uvicorn gets is `uvicorn.Config(..., ssl_context_factory=lambda config, default: tls.context)`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from unichunk.runtime.errors import UnichunkError
from unichunk.server.private_file import read_private

if TYPE_CHECKING:
    from pathlib import Path

_ROUNDS: Final = 8
_CERTIFICATE: Final = "TLS certificate"
_KEY: Final = "TLS key"
_CLIENT_CA: Final = "TLS client authorities"


class TlsError(UnichunkError):
    """A certificate or key that clients could not be answered with."""


@dataclass(frozen=True)
class TlsFiles:
    """Where the parts are.

    Attributes:
        certificate: PEM, the server's certificate first, then what leads to a known authority.
        key: PEM, the certificate's private key without a passphrase; others must not be able to read it.
        client_ca: PEM, authorities of client certificates; where it is given, a client without one is not let in.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Tls:
    """A checked certificate and key.

    Args:
        files: Where they are.

    Raises:
        UnichunkError: Where a client could not be answered with them: missing, unreadable, readable by others, not a
            pair, expired, of another purpose; one line.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen, self._expires_s = _checked(files)
        self._context = _context(files)

    @property
    def context(self) -> ssl.SSLContext:
        """What the server's sockets use: TLS 1.2 or newer."""
        return self._context

    @property
    def expires_s(self) -> float:
        """When the certificate ends, seconds since the epoch."""
        return self._expires_s

    def renew(self) -> bool:
        """Take a new certificate and key for connections that come from now on; those that are open stay as they are.

        Authorities of clients are read once.

        Returns:
            Whether there was a new one.

        Raises:
            UnichunkError: Where the new one cannot be used, one line; the old one stays.
        """
        if _states(self._files) == self._seen:
            return False
        seen, expires_s = _checked(self._files)
        _load(self._context, self._files)
        self._seen, self._expires_s = seen, expires_s
        return True


def _checked(files: TlsFiles) -> tuple[tuple[object, ...], float]:
    """The files' states, and when the certificate ends, once all has been tried that can go wrong."""
    seen = _states(files)
    certificate, _ = read_private(files.certificate, _CERTIFICATE, secret=False)
    read_private(files.key, _KEY)
    if files.client_ca is not None:
        read_private(files.client_ca, _CLIENT_CA, secret=False)
    return seen, _rehearsed(files, certificate)


def _states(files: TlsFiles) -> tuple[object, ...]:
    states: list[object] = []
    for path in (files.certificate, files.key):
        try:
            state = path.stat()
        except (OSError, ValueError):
            states.append(None)
        else:
            states.append((state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_mode))
    return tuple(states)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that renegotiates again and again would cost the server far more than itself.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    _load(context, files)
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(f"{_CLIENT_CA} {files.client_ca}: {_reason(error)}; expected PEM certificates") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except _Passphrase:
        raise TlsError(f"{_KEY} {files.key}: has a passphrase; expected one without (openssl pkey -in ...)") from None
    except (ssl.SSLError, OSError) as error:
        reason = _reason(error)
        if "mismatch" in reason.lower():
            raise TlsError(f"{_KEY} {files.key}: is not the key of {files.certificate}") from None
        raise TlsError(
            f"{_CERTIFICATE} {files.certificate} with {_KEY} {files.key}: {reason}; expected PEM files"
        ) from None


def _rehearsed(files: TlsFiles, certificate: bytes) -> float:
    """Answer a client of our own that trusts this certificate alone: all that a real one checks of it but the chain.

    Returns:
        When the certificate ends, seconds since the epoch.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(server, files)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        client.load_verify_locations(cadata=_first(certificate))
        ours = _handshake(client, server)
    except ssl.SSLCertVerificationError as error:
        raise TlsError(f"{_CERTIFICATE} {files.certificate}: {error.verify_message}") from None
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(f"{_CERTIFICATE} {files.certificate}: cannot be used: {_reason(error)}") from None
    facts = ours.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(facts["notAfter"])))


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_side=False)
    theirs = server.wrap_bio(there, back, server_side=True)
    for _ in range(_ROUNDS):
        done = [_step(end) for end in (ours, theirs)]
        if all(done):
            return ours
    raise ValueError("the handshake does not end")


def _step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _first(certificate: bytes) -> str:
    """The first certificate of a PEM file, which is the server's own."""
    end = "-----END CERTIFICATE-----"
    text = certificate.decode("ascii", "replace")
    return text[: text.find(end) + len(end)] + "\n"


class _Passphrase(Exception):
    pass


def _no_passphrase() -> NoReturn:
    # OpenSSL would ask for it on the terminal.
    raise _Passphrase


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
