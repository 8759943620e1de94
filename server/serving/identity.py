"""Who speaks to the server, and what that one may do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Right(enum.Enum):
    """What the server lets somebody do."""

    INFER = "infer"
    """Ask for chunks."""
    READ = "read"
    """Read metrics and what is served."""
    ADMINISTER = "administer"
    """Swap policies, drain the server, end it."""
    OPERATE = "operate"
    """Run trials of an evaluation, and judge them."""
    RATE = "rate"
    """Judge trials of an evaluation again, from their videos."""
    AUDIT = "audit"
    """Read the log of an evaluation."""


class Role(enum.Enum):
    """What a key is for."""

    ROBOT = "robot"
    VIEWER = "viewer"
    ADMIN = "admin"
    OPERATOR = "operator"
    RATER = "rater"
    AUDITOR = "auditor"


RIGHTS: Final = {
    Role.ROBOT: frozenset({Right.INFER}),
    Role.VIEWER: frozenset({Right.READ}),
    Role.ADMIN: frozenset({Right.INFER, Right.READ, Right.ADMINISTER, Right.AUDIT}),
    Role.OPERATOR: frozenset({Right.OPERATE}),
    Role.RATER: frozenset({Right.RATE}),
    Role.AUDITOR: frozenset({Right.AUDIT}),
}
"""What a key of each role may do."""


@dataclass(frozen=True)
class Identity:
    """Somebody whom the server knows.

    Attributes:
        id: Of the API key, or of the CURVE key (`curve-` and a name); safe in logs and as a metric's label.
        name: What the administrator called it, one printable line.
        role: What it is for.
    """

    id: str
    name: str
    role: Role

    def may(self, right: Right) -> bool:
        """Whether the role has a right."""
        return right in RIGHTS[self.role]
