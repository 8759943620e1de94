"""What can be chosen when a checkpoint is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.compile.metadata import MERGED
from unichunk.runtime.compile.robots import ROBOT_FORM, RobotSource
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

INSTRUCTION_TOKENS: Final = 96


@dataclass(frozen=True)
class CompileOptions:
    """What can be chosen when a checkpoint is compiled; None where the checkpoint's own value is taken.

    Attributes:
        data_config: Name or file of the data configuration, for one robot; its name is the metadata's embodiment tag.
        dataset: Whose metadata to use.
        stats: Which statistics of it.
        robots: Instead of these three: one for each robot.
        steps: K, Euler steps; several for chunk graphs with each of them, the first for who does not ask.
        refinement_rounds: N of the further chunk graphs; 0 for none.
        precision: fp32, fp16, bf16 or int8.
        observations: Files of `unichunk run --record-observations`, on which actions are compared with those in fp32.
        max_deviation: How far they may be from those, in normalized units; None for `deviation_limit`'s.
        directions: `.npy` file of unit vectors (M, h); without it they are drawn from the seed.
        seed: Of the directions.
        instruction_tokens: Longest instruction, in tokens.
        max_delay: Longest locked prefix, in rows.
        action_hz: Rows a second, for one robot; without it, the rate of the dataset's videos.
        batch: Further graphs, for these numbers of requests at once.
        guided: Whether there are chunk graphs that steer rows towards the running plan, too.
    """

    data_config: str | Path | None = None
    dataset: str | None = None
    stats: str = MERGED
    robots: tuple[RobotSource, ...] = ()
    steps: tuple[int, ...] = ()
    refinement_rounds: int | None = None
    precision: str = "fp32"
    observations: tuple[Path, ...] = ()
    max_deviation: float | None = None
    directions: Path | None = None
    seed: int = 0
    instruction_tokens: int = INSTRUCTION_TOKENS
    max_delay: int | None = None
    action_hz: int | None = None
    batch: tuple[int, ...] = ()
    guided: bool = False

    def sources(self) -> tuple[RobotSource, ...]:
        """What the robots' entries are made of, at least one.

        Raises:
            CheckpointError: None is given, or in both ways at once.
        """
        if self.robots:
            if self.data_config is not None or self.dataset is not None or self.stats != MERGED:
                raise CheckpointError(
                    f"give either --data-config, --dataset and --stats for one robot or --robot {ROBOT_FORM} for each, "
                    f"not both"
                )
            return self.robots
        if self.data_config is None or self.dataset is None:
            raise CheckpointError(
                f"no robot to compile for: give --data-config and --dataset, or --robot {ROBOT_FORM} for each robot"
            )
        return (RobotSource(self.data_config, self.dataset, self.stats),)
