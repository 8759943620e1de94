"""One event of the log, as it is signed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from unichunk.server.evaluation.ledger.actor import Actor
from unichunk.server.evaluation.ledger.commands import Command  # noqa: TC001  (read at run time)
from unichunk.server.evaluation.planning.plan import OpaqueId  # noqa: TC001  (read at run time)
from unichunk.server.serving.identity import Role  # noqa: TC001  (read at run time)

Key = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[!-~]+\Z")]
"""What a client calls one command: the same key again is the same command again."""


class Redo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The trial that takes the place of a void one.

    Attributes:
        trial: Its opaque id.
        position: Its place in the order of trials, later than that of the void one.
    """

    trial: OpaqueId
    position: float


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who did what, when.

    Attributes:
        seq: Its number, from 1.
        at_ns: UTC, [ns].
        boot: Which boot of the machine `mono_ns` counts from.
        mono_ns: Monotonic clock, [ns].
        actor: Name of who did it.
        role: Their role; None: the server itself.
        key: Idempotency key of the command.
        command: What was done.
        redo: Where `command` voids a trial: the one that is done instead.
    """

    seq: Annotated[int, Meta(ge=1)]
    at_ns: Annotated[int, Meta(ge=0)]
    boot: Annotated[str, Meta(max_length=64)]
    mono_ns: Annotated[int, Meta(ge=0)]
    actor: Annotated[str, Meta(min_length=1, max_length=200)]
    role: Role | None
    key: Key
    command: Command
    redo: Redo | None = None

    @property
    def by(self) -> Actor:
        """Who did it."""
        return Actor(self.actor, self.role)
