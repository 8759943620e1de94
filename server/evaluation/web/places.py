"""Where whom the pages lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.server.serving.identity import Right

if TYPE_CHECKING:
    from unichunk.server.evaluation.web.gate import Visitor


@dataclass(frozen=True)
class Place:
    """A page.

    Attributes:
        path: Where it is.
        name: What the way to it is called.
        rights: Who may see it needs one of these.
    """

    path: str
    name: str
    rights: tuple[Right, ...]


CAMPAIGN: Final = Place("/", "Campaign", (Right.OPERATE, Right.ADMINISTER))
VIDEOS: Final = Place("/rate", "Videos", (Right.RATE,))
LOG: Final = Place("/log", "Log", (Right.AUDIT,))
ADMINISTRATION: Final = Place("/admin", "Administration", (Right.ADMINISTER,))

PLACES: Final = (CAMPAIGN, VIDEOS, LOG, ADMINISTRATION)


def places_of(visitor: Visitor) -> tuple[Place, ...]:
    """Every page that somebody may see; the first is where signing in leads."""
    return tuple(place for place in PLACES if visitor.may(*place.rights))
