"""A policy on a robot, loaded and checked, to be measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.settings import robot_settings
from unichunk.runtime.first_row import COLD_INFERENCES
from unichunk.runtime.policy import EngineOptions, Policy

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.benchmarks.stages.case import Case
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.robot import RobotSettings

INSTRUCTION: Final = "follow the red block"


@dataclass(frozen=True)
class Place:
    """Where a case's policy and robot are.

    Attributes:
        case: The case.
        bundle: Folder of the policy bundle.
        spec_path: The robot's spec, as its driver reads it.
        spec: The same.
    """

    case: Case
    bundle: Path
    spec_path: Path
    spec: EmbodimentSpec


@dataclass(frozen=True)
class Subject:
    """A case, ready to run.

    Attributes:
        place: What and where it is.
        policy: Loaded.
        adapter: Between the robot and the policy.
        robot: The robot's constants.
    """

    place: Place
    policy: Policy
    adapter: EmbodimentAdapter
    robot: RobotSettings

    @classmethod
    def load(cls, place: Place, engine: EngineOptions) -> Subject:
        """Load the policy, have it infer from nothing as often as a cold start takes, and fit it to the robot.

        Raises:
            UnichunkError: Where the bundle cannot be loaded, or does not drive this robot.
        """
        policy = Policy.load(
            place.bundle,
            embodiment=place.spec.name,
            refinement_rounds=place.case.rounds,
            steps=place.case.steps,
            engine=engine,
        )
        for _ in range(COLD_INFERENCES):
            policy.infer(policy.example_observation())
        adapter = EmbodimentAdapter(place.spec, policy.robot, str(place.bundle))
        return cls(place, policy, adapter, robot_settings(place.spec, policy, adapter))


class Shelf:
    """Loaded policies: all of them where they fit into memory, else the one in use.

    Args:
        engine: What runs the graphs.
        available_bytes: Memory to be had.
    """

    OF_BUNDLE: Final = 2.0
    """Memory that a loaded policy takes, as multiple of its bundle: weights as read, and as the engine packs them, in
    the sessions of both graphs."""

    def __init__(self, engine: EngineOptions, available_bytes: float) -> None:
        self._engine = engine
        self._available = available_bytes / 2
        self._loaded: dict[Case, Subject] = {}

    def subject(self, place: Place) -> Subject:
        """The policy of a case."""
        if place.case not in self._loaded:
            others = [loaded.place.bundle for loaded in self._loaded.values()]
            if self.OF_BUNDLE * sum(map(_bundle_bytes, [place.bundle, *others])) > self._available:
                self._loaded.clear()
            self._loaded[place.case] = Subject.load(place, self._engine)
        return self._loaded[place.case]


def available_bytes(meminfo: str) -> float:
    """Memory to be had, [byte], from the content of /proc/meminfo; infinite where it does not say."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024.0
    return float("inf")


def _bundle_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
