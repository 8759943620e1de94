"""One call of an administrator to a server, over HTTP, with nothing but the standard library."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from unichunk.runtime.errors import UnichunkError
from unichunk.server.private_file import read_private
from unichunk.server.serving.exposure import is_loopback
from unichunk.server.serving.key_record import split_key
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_ANSWER: Final = 1 << 20
"""Longest answer that is read, bytes."""

_LONGEST_SAID: Final = 500


class CallRefused(UnichunkError):
    """The server did not do it, or could not be asked."""


@dataclass(frozen=True)
class AdminCall:
    """Where the server is, and who asks.

    Attributes:
        server: `https://host:port`, or `http://` on this machine: a key does not go through a network in plain text.
        key_file: File with the administrator's key in it and nothing else; others must not be able to read it.
        ca: PEM, authorities that the server's certificate is checked with; None: the system's.
        timeout_s: How long to wait for the answer, [s].
    """

    server: str
    key_file: Path
    ca: Path | None
    timeout_s: float

    def post(self, path: str, body: object = None) -> Any:
        """Ask for something.

        Args:
            path: Begins with a slash.
            body: JSON.

        Returns:
            The answer, JSON.

        Raises:
            UsageError: Where the address is none.
            UnichunkError: Where it could not be asked, or refused; one line.
        """
        url = _checked(self.server) + path
        request = urllib.request.Request(  # noqa: S310  http and https alone, see `_checked`
            url,
            data=b"" if body is None else msgspec.json.encode(body),
            headers={"Authorization": f"Bearer {self._key()}", "Content-Type": "application/json"},
            method="POST",
        )
        # No redirects: they would be given the key. No proxies from the environment: nor would they.
        opener = urllib.request.build_opener(
            _NoRedirects, urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls())
        )
        try:
            with opener.open(request, timeout=self.timeout_s) as answer:
                return _json(answer.read(MAX_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                raise CallRefused(f"{self.server}: {_said(error)}") from None
        except TimeoutError:
            raise CallRefused(f"{self.server}: no answer within {self.timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise CallRefused(f"{self.server}: {_one_line(str(reason) or type(reason).__name__)}") from None

    def _key(self) -> str:
        content, _ = read_private(self.key_file, "key file")
        key = content.decode("ascii", "replace").strip()
        if split_key(key) is None:
            raise CallRefused(f"key file {self.key_file}: expected one key (uck_...), as `unichunk keys add` prints it")
        return key

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError) as error:
            raise CallRefused(f"--ca {self.ca}: {_one_line(str(error))}; expected PEM certificates") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing: what was asked for ends as an error that says where it should have gone."""
        return


def _checked(server: str) -> str:
    try:
        parts = urlsplit(server)
        good = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
        good = good and not (parts.query or parts.fragment or parts.username or parts.path.strip("/"))
    except ValueError:
        good = False
    if not good or not server.isascii() or not server.isprintable() or " " in server:
        raise UsageError(f"--server {server!r}: expected https://host:port, or http://127.0.0.1:port on this machine")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise UsageError(f"--server {server}: the key would go in plain text to another machine; expected https://")
    return f"{parts.scheme}://{parts.netloc}"


def _said(error: urllib.error.HTTPError) -> str:
    try:
        answer = _json(error.read(MAX_ANSWER))
        return _one_line(str(answer["error"]))
    except (CallRefused, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"answered {error.code} {_one_line(str(error.reason))}"


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CallRefused("the answer is no JSON: is this a unichunk server?") from None


def _one_line(text: str) -> str:
    """What a server says is shown on a terminal: one line, nothing that moves the cursor."""
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_SAID]
