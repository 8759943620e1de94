"""What this process knows of a Ray cluster's replicas, shared by its routers and its fronts.

Ray makes the routers itself, from a copy of their module, and shows them to nobody; so what passes between them and the
rest of the process is here, in a module that there is once.
"""

from __future__ import annotations

from typing import Final

LOADED: Final = "loaded"
"""Under this name a replica tells the routers which editions it has, by their ids."""

_UP: Final[dict[tuple[str, str], int]] = {}
_ROOM: Final[dict[str, int]] = {}


def note_replicas(app: str, deployment: str, count: int) -> None:
    """So many replicas of a deployment are up."""
    _UP[app, deployment] = count


def replicas_up(app: str, deployment: str) -> int:
    """How many replicas of a deployment are up; 0 where nobody asked anything of them yet."""
    return _UP.get((app, deployment), 0)


def note_room(model_id: str, requests: int) -> None:
    """With fewer requests than this, a replica answers about as soon as one that has none."""
    _ROOM[model_id] = requests


def forget_room(model_id: str) -> None:
    """Nobody asks for this one any more."""
    _ROOM.pop(model_id, None)


def room_for(model_id: str) -> int:
    """What was noted of it; 1 where nothing was."""
    return _ROOM.get(model_id, 1)
