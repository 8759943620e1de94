"""Who takes part in the demonstration, with a key for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from unichunk.server.private_file import write_private
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEYS: Final = "keys.json"
RATER: Final = "edith"

STATIONS: Final = {"twin-1": "ada", "twin-2": "grace"}
"""Robot -> its operator. A robot's key has the robot's name."""

ROLES: Final = {
    **dict.fromkeys(STATIONS, Role.ROBOT),
    **dict.fromkeys(STATIONS.values(), Role.OPERATOR),
    RATER: Role.RATER,
    "auditor": Role.AUDITOR,
}


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


def invite(folder: Path) -> People:
    """Make a key for everybody, and write the key file, `keys.json`, and everybody's own, `NAME.key`.

    Args:
        folder: An existing private folder.

    Raises:
        PrivateFileError: Where they cannot be written.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    made = {name: new_key(name, role, now) for name, role in ROLES.items()}
    write_keys(folder / KEYS, [record for _, record in made.values()])
    for name, (text, _) in made.items():
        write_private(folder / f"{name}.key", f"{text}\n".encode(), "the API key")
    return People(
        identities={name: record.identity for name, (_, record) in made.items()},
        keys={name: text for name, (text, _) in made.items()},
    )
