"""What kind of thing a policy's source names, and what its hash vouches for."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.server.remote.address import is_remote
from unichunk.server.serving.source import PYTHON

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import PolicyEntry

OPENPI: Final = ("openpi+ws://", "openpi+wss://")
_LEAN: Final = ("ws://", "wss://", "zmq://", "ipc://")


class SourceKind(enum.Enum):
    """Where a policy comes from."""

    BUNDLE = "bundle"
    PYTHON = "python"
    LEAN_SERVER = "lean server"
    OPENPI_SERVER = "openpi server"


VOUCHED: Final = {
    SourceKind.BUNDLE: "every file of the bundle",
    SourceKind.PYTHON: "source text of the factory's module, not what it loads",
    SourceKind.LEAN_SERVER: "every file of the bundle, as the server declares it",
    SourceKind.OPENPI_SERVER: "declared only: the server cannot be asked what it runs",
}
"""What the hash of a policy stands for; reports say it."""


def source_kind(source: str) -> SourceKind | None:
    """What a source names; None for an address of a kind that is not known."""
    if source.startswith(PYTHON):
        return SourceKind.PYTHON
    if source.startswith(OPENPI):
        return SourceKind.OPENPI_SERVER
    if source.startswith(_LEAN):
        return SourceKind.LEAN_SERVER
    if "://" in source or is_remote(source):
        return None
    return SourceKind.BUNDLE


def located_source(policy: PolicyEntry, folder: Path) -> str:
    """The source with a bundle's folder made absolute; anything else as it is.

    Args:
        policy: As it is declared.
        folder: Which relative paths start from.
    """
    if source_kind(policy.source) is SourceKind.BUNDLE:
        return str(folder / Path(policy.source).expanduser())
    return policy.source
