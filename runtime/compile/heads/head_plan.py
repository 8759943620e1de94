"""What the checkpoint of a policy with action queries is compiled to: read and checked, nothing written yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.runtime.compile.checkpoint_folder import TOKENIZER_FILE
from unichunk.runtime.compile.compile_options import INSTRUCTION_TOKENS
from unichunk.runtime.compile.compile_plan import (
    IMAGE_MEAN,
    IMAGE_STD,
    MOST_STEPS,
    NOT_TRAINED,
    batch_sizes,
    longest_delay,
    made_with,
    origins,
)
from unichunk.runtime.compile.heads.head_checkpoint import HeadCheckpoint
from unichunk.runtime.compile.heads.head_config import FlowHead, RegressionHead
from unichunk.runtime.compile.heads.head_tensors import head_tensors
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.compile.robots import read_robots
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import FORMAT_VERSION, PLACEHOLDER, ImageInput, LanguageInput, Manifest
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.compile.compile_options import CompileOptions
    from unichunk.runtime.compile.heads.head_config import HeadConfig
    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.robots import Robot
    from unichunk.runtime.policy.manifest import Graphs


@dataclass(frozen=True)
class HeadPlan:
    """Everything that was asked for, read and checked; nothing is written yet.

    Attributes:
        checkpoint: Opened.
        robots: Those that the bundle drives.
        precision: Of weights and products.
        steps: K of each chunk graph, the default first.
        max_delay: In rows.
        batches: Requests at once, of further graphs, the smallest first.
        guided: Whether there are chunk graphs that steer rows towards the running plan, too.
    """

    checkpoint: HeadCheckpoint
    robots: tuple[Robot, ...]
    precision: Precision
    steps: tuple[int, ...]
    max_delay: int
    batches: tuple[int, ...]
    guided: bool = False

    @property
    def kinds(self) -> tuple[bool, ...]:
        """Whether chunk graphs are guided, for each kind that there is."""
        return (False, True) if self.guided else (False,)

    def manifest(self, graphs: Graphs) -> Manifest:
        """The bundle's description."""
        name, config = self.checkpoint.directory.resolve().name, self.checkpoint.config
        drives = ", ".join(robot.name for robot in self.robots)
        return Manifest(
            format_version=FORMAT_VERSION,
            name=name,
            description=f"Policy {name} with action queries and a {_kind(config)} head, compiled for {drives}.",
            chunk_length=config.rows,
            unified_width=UNIFIED_WIDTH,
            denoising_steps=self.steps[0],
            image=ImageInput(size=config.vit.image_size, mean=IMAGE_MEAN, std=IMAGE_STD),
            language=LanguageInput(
                tokenizer=TOKENIZER_FILE, prompt=config.prompt, suffix=(), max_tokens=config.max_text
            ),
            noise=self.robots[0].data.noise,
            robots={robot.name: robot.entry(self.max_delay) for robot in self.robots},
            graphs=graphs,
            sampler=config.sampler,
            precision=self.precision.name,
            provenance=self._provenance(name),
        )

    def _provenance(self, name: str) -> dict[str, str]:
        config, trained = self.checkpoint.config, NOT_TRAINED
        if isinstance(config.head, RegressionHead):
            trained = "stitched in front: nothing is denoised"
        elif config.locked_prefix is not None:
            trained = f"trained with 0 to {config.locked_prefix} rows"
        return {
            "checkpoint": name,
            "parameters": str(sum(math.prod(shape) for shape in head_tensors(config).values())),
            **origins(self.robots),
            "denoising_steps": ", ".join(map(str, self.steps)),
            "precision": self.precision.name,
            "locked_prefixes": trained,
            **made_with(),
        }


def plan_head(directory: Path, options: CompileOptions) -> HeadPlan:
    """Read and check everything but the values of the weights.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
    if options.precision not in PRECISIONS:
        raise CheckpointError(f"unknown precision {options.precision!r}; choose from {', '.join(PRECISIONS)}")
    checkpoint = HeadCheckpoint.open(directory)
    config = checkpoint.config
    _refuse_what_is_of_others(config, options)
    robots = read_robots(checkpoint, options.sources(), options.action_hz)
    for robot in robots:
        _check_robot(config, robot)
    _check_prompt(checkpoint)
    return HeadPlan(
        checkpoint=checkpoint,
        robots=robots,
        precision=PRECISIONS[options.precision],
        steps=_steps(config, options),
        max_delay=longest_delay(config.rows, config.longest_delay, options.max_delay),
        batches=batch_sizes(options.batch),
        guided=options.guided,
    )


def _kind(config: HeadConfig) -> str:
    if isinstance(config.head, RegressionHead):
        return "regression"
    return "flow" if isinstance(config.head, FlowHead) else "DDIM"


def _refuse_what_is_of_others(config: HeadConfig, options: CompileOptions) -> None:
    """Refinement and a free length of text are Being-H0.5's, and only a velocity can be steered."""
    kind = f"a {_kind(config)} head"
    if options.refinement_rounds:
        raise CheckpointError(
            f"refinement rounds: expected 0, since {kind} has no gates, got {options.refinement_rounds}"
        )
    if options.guided and not isinstance(config.head, FlowHead):
        raise CheckpointError(f"guided graphs are for rectified flows, this checkpoint has {kind}; leave out --guided")
    if options.directions is not None:
        raise CheckpointError(f"directions are for gates, and {kind} has none; leave out --directions")
    if options.instruction_tokens != INSTRUCTION_TOKENS:
        raise CheckpointError(
            f"instruction tokens: this model has learned positions for a text of {config.max_text} tokens, got "
            f"{options.instruction_tokens}; leave out --instruction-tokens"
        )


def _steps(config: HeadConfig, options: CompileOptions) -> tuple[int, ...]:
    most, asked = min(config.most_steps, MOST_STEPS), options.steps or (config.steps,)
    for steps in asked:
        if not 1 <= steps <= most:
            raise CheckpointError(f"denoising steps: expected 1 to {most}, got {steps}")
    if len(set(asked)) < len(asked):
        raise CheckpointError(f"denoising steps: expected each number once, got {', '.join(map(str, asked))}")
    return asked


def _check_robot(config: HeadConfig, robot: Robot) -> None:
    views = robot.data.views
    if len(views) != config.views:
        raise CheckpointError(
            f"robot {robot.name} has {len(views)} views ({', '.join(views)}), expected {config.views}, for which the "
            f"model has learned positions"
        )
    if config.fields_of_view and not robot.data.fields_of_view:
        raise CheckpointError(
            f"data configuration {robot.data.name} has no fields_of_view, which this model takes; add horizontal and "
            f"vertical angle of each view, [rad]"
        )


def _check_prompt(checkpoint: HeadCheckpoint) -> None:
    config = checkpoint.config
    own = len(checkpoint.tokenizer().text(config.prompt.replace(PLACEHOLDER, "")))
    if own >= config.max_text:
        raise CheckpointError(
            f"{checkpoint.directory}: prompt is {own} tokens, max_text is {config.max_text}; there is no room for an "
            f"instruction"
        )
