"""Robots that do at once what they are told, and remember it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unichunk.server.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class FakeRobot:
    """One robot."""

    name: str
    connected: bool = True
    last_seen_s: float = 0.0
    mode: str = "hold"
    at_home: bool = False
    cameras: tuple[str, ...] = ("wrist",)


@dataclass
class FakeRobots:
    """All robots.

    Attributes:
        told: What they were told, in order.
        refuses: Whether a policy cannot be run.
    """

    robots: dict[str, FakeRobot]
    told: list[tuple[object, ...]] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        self.on_event: Callable[[str, str, str], None] = lambda *_: None
        self.on_recorded: Callable[[str, str], None] = lambda *_: None

    @classmethod
    def of(cls, *names: str) -> FakeRobots:
        return cls({name: FakeRobot(name) for name in names})

    def arm(self, robot: str) -> None:
        self.told.append(("arm", robot))
        self.robots[robot].mode = "home"
        self.robots[robot].at_home = True

    def run(self, robot: str, trial: str, policy: int, instruction: str) -> None:
        self.told.append(("run", robot, trial, policy, instruction))
        if self.refuses:
            raise EvaluationError("the policy is gone")
        self.robots[robot].mode = "run"
        self.robots[robot].at_home = False

    def hold(self, robot: str) -> None:
        self.told.append(("hold", robot))
        if robot in self.robots:
            self.robots[robot].mode = "hold"

    def frame(self, robot: str, camera: str | None = None) -> bytes | None:
        return f"{robot} {camera}".encode()
