"""Who takes part in the demonstration, with a key for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROBOT: Final = "twin-1"
"""The robot's name, which its key has, too."""

ROLES: Final = {"operator": Role.OPERATOR, "rater": Role.RATER, "auditor": Role.AUDITOR, ROBOT: Role.ROBOT}


@dataclass(frozen=True)
class People:
    """Everybody but the administrator.

    Attributes:
        identities: By name.
        keys: Their API keys, by name.
    """

    identities: Mapping[str, Identity]
    keys: Mapping[str, str]

    def __repr__(self) -> str:
        # Keys must not reach a log, whoever prints this.
        return f"People({', '.join(self.identities)})"


def invite(file: Path) -> People:
    """Make a key for everybody, and write the key file.

    Raises:
        PrivateFileError: Where it cannot be written.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    made = {name: new_key(name, role, now) for name, role in ROLES.items()}
    write_keys(file, [record for _, record in made.values()])
    return People(
        identities={name: record.identity for name, (_, record) in made.items()},
        keys={name: text for name, (text, _) in made.items()},
    )
