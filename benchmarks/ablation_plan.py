"""What the ablation runs: categories of tasks, and four ways to execute the same policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.chunking import largest_delay, required_delay
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.embodiments.sim.hands import Posture

FIRST_SEED: Final = 201
"""Paths that no demonstration has."""

REFINEMENT_ROUNDS: Final = 2
"""N with MPG."""

BLOCKS_NAMED: Final = 2
"""Each path is run with both blocks named."""


@dataclass(frozen=True)
class Setting:
    """A robot and what makes its task one of the category.

    Attributes:
        robot: Its name.
        condition: Name of one of `unichunk.embodiments.sim.conditions`.
        posture: Of the hand, that is asked for.
    """

    robot: str
    condition: str = "clean"
    posture: Posture = "half"


@dataclass(frozen=True)
class Category:
    """Tasks of one kind.

    Attributes:
        name: What it is called.
        about: What its robots do.
        settings: They share the category's episodes.
    """

    name: str
    about: str
    settings: tuple[Setting, ...]

    def paths(self, episodes: int) -> int:
        """Paths of each setting, for at least so many episodes of each method."""
        return -(-episodes // (BLOCKS_NAMED * len(self.settings)))


CATEGORIES: Final = (
    Category("gripper", "an arm with a gripper follows the block that is named", (Setting("so101"),)),
    Category(
        "hand posture",
        "an arm with a dexterous hand follows, and is told to open it or to close it",
        (Setting("fr3_inspire", posture="open"), Setting("fr3_inspire", posture="closed")),
    ),
    Category("two hands", "humanoids follow with both hands", (Setting("g1_o6"), Setting("adam_u"))),
    Category("moving camera", "an arm follows, seen by a camera in a head that moves", (Setting("d1"),)),
    Category(
        "new instruction",
        "the instruction names the other block from half-way on",
        (Setting("so101", "switch"), Setting("g1_o6", "switch")),
    ),
    Category(
        "disturbed view",
        "light that changes, or the view hidden now and then",
        tuple(Setting(robot, view) for robot in ("so101", "d1") for view in ("lighting", "occlusion")),
    ),
)


@dataclass(frozen=True)
class Method:
    """A way to execute the policy.

    Attributes:
        name: What it is called.
        mpg: Whether chunks are refined.
        uac: Whether the policy is told which rows are committed; otherwise execution is naively asynchronous.
    """

    name: str
    mpg: bool
    uac: bool

    @property
    def rounds(self) -> int:
        """N."""
        return REFINEMENT_ROUNDS if self.mpg else 0


NEITHER: Final = Method("neither", mpg=False, uac=False)
METHODS: Final = (
    NEITHER,
    Method("UAC", mpg=False, uac=True),
    Method("MPG", mpg=True, uac=False),
    Method("MPG + UAC", mpg=True, uac=True),
)


@dataclass(frozen=True)
class Delay:
    """What a latency makes of d for one robot.

    Attributes:
        latency_ms: From an observation to the rows that follow from it, [ms].
        wanted: Ticks that it takes, as the runtime reckons them.
        ticks: d: no more than the policy was trained to continue and half a chunk.
    """

    latency_ms: float
    wanted: int
    ticks: int


@dataclass(frozen=True)
class Job:
    """One path of one setting: all methods, all latencies, both blocks.

    Attributes:
        category: The category's name.
        setting: One of its settings.
        bundle: The policy's folder.
        seed: Of the path, of the disturbance and of the policy's noise.
        duration_s: Length of a run, [s].
        delays: What to run at.
    """

    category: str
    setting: Setting
    bundle: Path
    seed: int
    duration_s: float
    delays: tuple[Delay, ...]


def delays_of(robot: str, bundle: Path, latencies_ms: Sequence[float]) -> tuple[Delay, ...]:
    """What latencies make of d for a robot.

    Args:
        robot: Its name.
        bundle: The policy's folder.
        latencies_ms: [ms].

    Raises:
        BundleError: Where the policy does not drive the robot.
    """
    spec, manifest = load_spec(robot), read_manifest(bundle)
    if robot not in manifest.robots:
        drives = ", ".join(manifest.robots)
        raise BundleError(f"{bundle}: the policy drives {drives}, not {robot}; choose categories without {robot}")
    trained = manifest.robots[robot].max_delay
    longest = largest_delay(manifest.chunk_length, spec.minimum_postfix_ticks, trained)
    wanted = [required_delay(latency / 1e3, spec.action_hz, spec.delay_margin_ticks) for latency in latencies_ms]
    return tuple(Delay(ms, ticks, min(ticks, longest)) for ms, ticks in zip(latencies_ms, wanted, strict=True))


def jobs(
    categories: Sequence[Category], bundle: Path, latencies_ms: Sequence[float], episodes: int, duration_s: float
) -> list[Job]:
    """All that is to be run.

    Args:
        categories: Of which tasks.
        bundle: The policy's folder.
        latencies_ms: [ms].
        episodes: At least so many for each category, method and latency.
        duration_s: Length of a run, [s].

    Raises:
        BundleError: Where the policy does not drive a robot.
    """
    robots = dict.fromkeys(setting.robot for category in categories for setting in category.settings)
    delays = {robot: delays_of(robot, bundle, latencies_ms) for robot in robots}
    return [
        Job(category.name, setting, bundle, FIRST_SEED + path, duration_s, delays[setting.robot])
        for category in categories
        for path in range(category.paths(episodes))
        for setting in category.settings
    ]
