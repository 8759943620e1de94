"""What the handles of one link share: where the driver's streams are now, and how its clock stands to ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import zmq

from unichunk.embodiments.link.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.embodiments.link.sockets import Context
    from unichunk.embodiments.spec import EmbodimentSpec


@dataclass(frozen=True)
class Route:
    """One start of a driver, and where its streams are.

    Attributes:
        boot: The driver's random name for this start.
        command: Where commands go.
        state: Where states come from.
        cameras: Camera name -> where its frames come from.
    """

    boot: str
    command: str
    state: str
    cameras: Mapping[str, str]


@dataclass
class Connection:
    """Written by the thread that connects, read by all.

    Each handle belongs to one thread and so do its sockets. A handle compares `route` with the one it followed last,
    by identity, at every use, and opens new sockets when it has changed. Both attributes are replaced as a whole:
    a reader sees the old value or the new one.

    Attributes:
        spec: What the robot is expected to be.
        session: Our random name, the same for the life of the link.
        route: Where to, None while not connected.
        clock: The newest estimate.
    """

    spec: EmbodimentSpec
    session: str
    route: Route | None = None
    clock: Clock = field(default_factory=lambda: Clock(0, 0))
    _context: Context | None = None

    @property
    def context(self) -> Context:
        """What all sockets of the link are made in; it begins with the first of them."""
        if self._context is None:
            self._context = zmq.Context()
        return self._context

    def end(self) -> None:
        """End the context; all sockets are closed already."""
        if self._context is not None:
            self._context.term()
            self._context = None
