"""`unichunk keys`: who may use a server."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import tyro

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.server.private_file import change_private
from unichunk.server.say import say
from unichunk.server.serving.curve_files import add_client, make_server_pair
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import WHAT, read_keys, write_keys
from unichunk.server.serving.key_record import BadName, KeyRecord, check_name, new_key
from unichunk.server.usage_error import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RoleName = Literal["robot", "viewer", "admin", "operator", "rater", "auditor"]

_FOREVER_DAYS = 36500


@dataclass
class AddKey:
    """Make an API key and print it, this one time: the file keeps only a hash of it.

    A server that runs with the file takes the key within a second.

    Try: unichunk keys add arm-1 --role robot --expires-days 365 --file keys.json
    """

    name: tyro.conf.Positional[str]
    """Whose it is, for lists and logs."""
    role: RoleName
    """What it may do: robot: ask for chunks; viewer: read metrics and what is served; admin: all that, and swap
    policies, drain and end the server. For `unichunk eval serve`: robot: be driven; operator: run trials and judge
    them; rater: judge them again; auditor: read the log; admin: progress, the log, emergency unblinding, but no
    judging."""
    file: Path = Path("keys.json")
    """The key file; made where there is none, with mode 0600."""
    expires_days: float | None = None
    """After how many days it is worth nothing. Without it, never."""

    def __call__(self) -> str:
        """Make it; return what to print."""
        now = datetime.now(timezone.utc).replace(microsecond=0)
        if self.expires_days is not None and not 0 < self.expires_days <= _FOREVER_DAYS:
            most = f"at most {_FOREVER_DAYS}"
            raise UsageError(f"--expires-days: expected more than 0 and {most}, got {self.expires_days:g}")
        expires = None if self.expires_days is None else now + timedelta(days=self.expires_days)
        text, record = new_key(_checked_name(self.name), Role(self.role), now, expires)

        def add() -> None:
            keys = read_keys(self.file)[0] if self.file.exists() else ()
            write_keys(self.file, [*keys, record])

        change_private(self.file, add, WHAT)
        return f"{text}\n"


@dataclass
class ListKeys:
    """List the API keys of a file; the keys themselves are not in it.

    Try: unichunk keys list --file keys.json
    """

    file: Path = Path("keys.json")
    """The key file."""
    json: bool = False
    """Print JSON, for programs."""

    def __call__(self) -> str:
        """Return the list."""
        keys, _ = read_keys(self.file)
        now = datetime.now(timezone.utc)
        if self.json:
            entries = [
                {"id": key.id, "name": key.name, "role": key.role, "created": key.created, "expires": key.expires}
                for key in keys
            ]
            return f"{msgspec.json.format(msgspec.json.encode(entries)).decode()}\n"
        return "".join(f"{_line(key, now)}\n" for key in keys) or "no keys\n"


@dataclass
class RevokeKey:
    """Make an API key worthless; a server that runs with the file turns it away within a second.

    Try: unichunk keys revoke arm-1 --file keys.json
    """

    key: tyro.conf.Positional[str]
    """Its id, as `unichunk keys list` shows it, or its name where no other key has that."""
    file: Path = Path("keys.json")
    """The key file."""

    def __call__(self) -> str:
        """Revoke it; return what to print."""
        revoked: list[KeyRecord] = []

        def revoke() -> None:
            keys, _ = read_keys(self.file)
            revoked.append(_meant(keys, self.key, self.file))
            write_keys(self.file, [key for key in keys if key.id != revoked[0].id])

        change_private(self.file, revoke, WHAT)
        return f"revoked {revoked[0].id} {revoked[0].name}\n"


@dataclass
class CurveKeys:
    """Make the CURVE keys of a server and of its ZeroMQ clients.

    The folder is what `unichunk serve --curve FOLDER` reads. Each client gets its NAME.client.json, which should be
    moved to its machine, not copied. Removing clients/NAME.json locks a client out.

    Try: unichunk keys curve arm-1 arm-2 --out curve
    """

    clients: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of clients to make keys for; without any, the server's alone are made, where there are none."""
    out: Path = Path("curve")
    """The folder; made where there is none."""
    role: RoleName = "robot"
    """What these clients may do."""

    def __call__(self) -> str:
        """Make them; return what to print."""
        for i, name in enumerate(self.clients):
            if name in self.clients[:i]:
                raise UsageError(f"client {name!r}: expected each name once")
        server, made = make_server_pair(self.out)
        lines = [f"server's public key {server.public}{'' if made else ' (as it was)'}"]
        for name in self.clients:
            path = add_client(self.out, name, Role(self.role), server)
            lines.append(f"{path}: for {name} alone; move it there")
        return "".join(f"{line}\n" for line in lines)


@dataclass
class Keys:
    """Make, list and revoke the keys of a server's clients.

    Exit status: 0 done; 2 a wrong command line; 3 refused, with one line on the standard error that says why.

    Try: unichunk keys add arm-1 --role robot
    """

    action: Annotated[
        Annotated[AddKey, tyro.conf.subcommand("add")]
        | Annotated[ListKeys, tyro.conf.subcommand("list")]
        | Annotated[RevokeKey, tyro.conf.subcommand("revoke")]
        | Annotated[CurveKeys, tyro.conf.subcommand("curve")],
        tyro.conf.arg(name=""),
    ]

    def __call__(self) -> int:
        """Do it; return the exit status."""
        return done("unichunk keys", self.action)


def done(command: str, action: Callable[[], str]) -> int:
    """Do something and print what it returns; say in one line why not.

    Args:
        command: The command, for what is said.
        action: Returns what to print.

    Returns:
        The exit status.
    """
    try:
        said = action()
    except UnichunkError as error:
        say(f"{command}: {error}\n", sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATUS[ExitReason.REFUSED]
    except KeyboardInterrupt:
        say(f"{command}: interrupted\n", sys.stderr)
        return EXIT_STATUS[ExitReason.INTERRUPTED]
    say(said, sys.stdout)
    return 0


def _checked_name(name: str) -> str:
    try:
        return check_name(name)
    except BadName as error:
        raise UsageError(str(error)) from None


def _meant(keys: Sequence[KeyRecord], given: str, file: Path) -> KeyRecord:
    found = [key for key in keys if key.id == given] or [key for key in keys if key.name == given]
    if not found:
        raise UnichunkError(f"{given!r}: no key of {file} has this id or name; `unichunk keys list` shows them")
    if len(found) > 1:
        ids = ", ".join(key.id for key in found)
        raise UnichunkError(f"{given!r}: {len(found)} keys have this name; give the id, one of {ids}")
    return found[0]


def _line(key: KeyRecord, now: datetime) -> str:
    if key.expires is None:
        until = "does not expire"
    else:
        until = f"{'expires' if key.is_valid(now.timestamp()) else 'EXPIRED'} {key.expires:%Y-%m-%d %H:%M} UTC"
    return f"{key.id}  {key.role.value:6}  created {key.created:%Y-%m-%d}, {until}  {key.name}"
