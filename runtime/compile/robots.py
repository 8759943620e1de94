"""The robots that a checkpoint is compiled for: their data configurations, their metadata, their entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.compile.data_config import read_data_config
from unichunk.runtime.compile.keys import build_keys
from unichunk.runtime.compile.metadata import MERGED, check_views, frame_rate
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import RobotEntry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.runtime.compile.checkpoint_folder import CheckpointFolder
    from unichunk.runtime.compile.data_config import DataConfig
    from unichunk.runtime.compile.keys import Keys

ROBOT_FORM: Final = "NAME=DATA_CONFIG:DATASET[:STATS]"


@dataclass(frozen=True)
class RobotSource:
    """What a robot's entry is made of.

    Attributes:
        data_config: Name or file of the data configuration.
        dataset: Whose metadata to use.
        stats: Which statistics of it.
        name: The robot; None for the embodiment tag of the metadata.
    """

    data_config: str | Path
    dataset: str
    stats: str = MERGED
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> RobotSource:
        """Reads `NAME=DATA_CONFIG:DATASET[:STATS]`, for example `so101=generalist_so101:generalist:so101`.

        Raises:
            CheckpointError: Not of this form.
        """
        name, _, rest = text.partition("=")
        parts = rest.split(":")
        if not name or len(parts) not in {2, 3} or not all(parts):
            raise CheckpointError(f"robot {text!r}: expected {ROBOT_FORM}")
        return cls(parts[0], parts[1], parts[2] if len(parts) > 2 else MERGED, name)


@dataclass(frozen=True)
class Robot:
    """A robot of the bundle in the making.

    Attributes:
        name: Of the embodiment.
        source: What it is made of.
        data: Views and keys.
        keys: Of state and action, with their statistics.
        action_hz: Rows a second.
    """

    name: str
    source: RobotSource
    data: DataConfig
    keys: Keys
    action_hz: int

    def entry(self, max_delay: int) -> RobotEntry:
        """Its entry in the manifest."""
        return RobotEntry(
            cameras=self.data.views,
            state=self.keys.state,
            action=self.keys.action,
            action_hz=self.action_hz,
            max_delay=max_delay,
            fields_of_view=self.data.angles,
        )


def read_robots(
    checkpoint: CheckpointFolder, sources: Sequence[RobotSource], action_hz: int | None
) -> tuple[Robot, ...]:
    """Reads what the robots are made of, and checks that one bundle can drive them all.

    Args:
        checkpoint: Whose datasets.
        sources: One for each robot, at least one.
        action_hz: Rows a second; None for the rate of each dataset's videos.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
    if action_hz is not None and len(sources) > 1:
        raise CheckpointError(
            f"--action-hz {action_hz} is for one robot, and there are {len(sources)}: the rate of each is that of its "
            f"dataset's videos"
        )
    robots = tuple(_named(checkpoint, source, action_hz) for source in sources)
    first = robots[0]
    for i, robot in enumerate(robots):
        if robot.name in [other.name for other in robots[:i]]:
            raise CheckpointError(f"robot {robot.name} is named twice; expected each once")
        if robot.data.noise != first.data.noise:
            raise CheckpointError(
                f"data configuration {robot.data.name} has noise {robot.data.noise!r}, {first.data.name} has "
                f"{first.data.noise!r}; expected the same for all robots, as they were trained together"
            )
    return robots


def _named(checkpoint: CheckpointFolder, source: RobotSource, action_hz: int | None) -> Robot:
    """The robot; what is wrong with it names it where it has been named."""
    if source.name is None:
        return _robot(checkpoint, source, action_hz)
    try:
        return _robot(checkpoint, source, action_hz)
    except CheckpointError as error:
        raise CheckpointError(f"robot {source.name}: {error}") from None


def _robot(checkpoint: CheckpointFolder, source: RobotSource, action_hz: int | None) -> Robot:
    data = read_data_config(source.data_config)
    metadata = checkpoint.metadata(source.dataset, source.stats)
    keys = build_keys(data, metadata)
    check_views(metadata, data.views)
    rate = frame_rate(metadata, data.views) if action_hz is None else action_hz
    if rate < 1:
        raise CheckpointError(f"rate of the actions: expected 1 Hz or more, got {rate}")
    return Robot(source.name or metadata.embodiment_tag, source, data, keys, rate)
