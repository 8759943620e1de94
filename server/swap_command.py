"""`unichunk swap` and `unichunk drain`: what an administrator asks of a server that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from urllib.parse import quote

import tyro  # noqa: TC002  (read at run time)

from unichunk.server.admin_call import AdminCall, CallRefused
from unichunk.server.keys_command import done
from unichunk.server.usage_error import UsageError


@dataclass
class Swap:
    """Replace a policy of a server while its clients stay connected.

    The server loads and warms up the new bundle first; it takes over between two requests. A bundle whose robots, keys,
    slots, normalization or chunk length differ is refused: clients would read its chunks wrongly.

    Exit status: 0 replaced; 2 a wrong command line; 3 refused, with one line on the standard error that says why: then
    the old policy goes on.

    Try: unichunk swap policy=/srv/bundles/new --server https://host:8000 --key-file admin.key
    """

    policy: tyro.conf.Positional[str]
    """NAME=BUNDLE: the name under which it is served, and the new bundle's folder as the server sees it."""
    key_file: Path
    """File with an administrator's key in it and nothing else, mode 0600."""
    server: str = "http://127.0.0.1:8000"
    """Where the server is: https://host:port, or http:// on this machine."""
    force: bool = False
    """Take a bundle that does not fit what is there. Clients of the lean protocol notice and begin anew, others do
    not."""
    ca: Path | None = None
    """PEM, authorities that the server's certificate is checked with. Without it, the system's."""
    timeout: float = 600.0
    """How long to wait for the new policy to be loaded, in seconds."""

    def __call__(self) -> int:
        """Ask for it; return the exit status."""
        return done("unichunk swap", self._swapped)

    def _swapped(self) -> str:
        name, equals, bundle = self.policy.partition("=")
        if not (name and equals and bundle):
            raise UsageError(f"{self.policy!r}: expected NAME=BUNDLE")
        call = AdminCall(self.server, self.key_file, self.ca, _positive(self.timeout))
        answer = call.post(f"/v1/policies/{quote(name, safe='')}/swap", {"bundle": bundle, "force": self.force})
        try:
            digest, policy = str(answer["digest"]), str(answer["policy"])
        except (KeyError, TypeError):
            raise CallRefused(f"{self.server}: answered something else: is this a unichunk server?") from None
        return f"{name}: {ascii(policy)[1:-1]}, digest {ascii(digest)[1:13] or 'none'}\n"


@dataclass
class Drain:
    """Let a server end: it takes in nobody new, tells its clients, answers what it has begun, and ends.

    Exit status: 0 it drains; 2 a wrong command line; 3 refused, with one line on the standard error that says why.

    Try: unichunk drain --server https://host:8000 --key-file admin.key
    """

    key_file: Path
    """File with an administrator's key in it and nothing else, mode 0600."""
    server: str = "http://127.0.0.1:8000"
    """Where the server is: https://host:port, or http:// on this machine."""
    ca: Path | None = None
    """PEM, authorities that the server's certificate is checked with. Without it, the system's."""
    timeout: float = 10.0
    """How long to wait for the answer, in seconds."""

    def __call__(self) -> int:
        """Ask for it; return the exit status."""
        return done("unichunk drain", self._drained)

    def _drained(self) -> str:
        answer = AdminCall(self.server, self.key_file, self.ca, _positive(self.timeout)).post("/v1/drain")
        waiting = answer.get("in_flight") if isinstance(answer, dict) else None
        return f"draining, {waiting if isinstance(waiting, int) else 'some'} requests in flight\n"


def _positive(timeout: float) -> float:
    if not 0 < timeout <= 86400:
        raise UsageError(f"--timeout: expected more than 0 and at most 86400 seconds, got {timeout:g}")
    return timeout
