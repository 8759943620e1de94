"""Who does something in a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unichunk.server.serving.identity import Role  # noqa: TC001  (read at run time)


@dataclass(frozen=True)
class Actor:
    """Somebody, or the server itself.

    Attributes:
        name: For the log.
        role: What they may do; None: the server.
    """

    name: str
    role: Role | None


SERVER: Final = Actor("server", None)
