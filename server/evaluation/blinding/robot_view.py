"""What others may know of a robot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.server.evaluation.blinding.mode import Mode


@dataclass(frozen=True)
class RobotView:
    """Nothing in it depends on a policy.

    Attributes:
        name: Of its key.
        connected: Whether it is there, and all policies have been warm for it: it may be armed. A policy that dies
            later changes nothing of that: nobody shall see by it that it was one.
        last_seen_s: How long ago its last request came, [s].
        mode: What it is doing.
        at_home: Whether it went to the rest pose and is there, and all policies are warm: a trial may begin.
        cameras: Their names.
    """

    name: str
    connected: bool
    last_seen_s: float
    mode: Mode
    at_home: bool
    cameras: tuple[str, ...] = ()
