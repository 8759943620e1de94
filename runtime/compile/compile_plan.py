"""What a Being-H0.5 checkpoint is compiled to: read and checked, nothing written yet."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.compile.adapters import Places
from unichunk.runtime.compile.checkpoint import TOKENIZER_FILE, Checkpoint
from unichunk.runtime.compile.directions import drawn_directions, read_directions
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.robots import read_robots
from unichunk.runtime.compile.sequence import TokenSequence
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.compile.variants import all_variants
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import FORMAT_VERSION, ImageInput, LanguageInput, Manifest, Reasoning
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.compile.compile_options import CompileOptions
    from unichunk.runtime.compile.config import BeingHConfig
    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.robots import Robot
    from unichunk.runtime.compile.variants import Variant
    from unichunk.runtime.policy.manifest import Graphs

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)
MOST_INSTRUCTION_TOKENS: Final = 4096
MOST_STEPS: Final = 1000
MOST_ROUNDS: Final = 16
MOST_PASSES: Final = 2000
"""Euler steps of all rounds: each is in the graph."""
MOST_BATCH: Final = 64
NOT_TRAINED: Final = "not trained with locked prefixes"
PACKAGES: Final = ("onnx", "numpy", "tokenizers", "safetensors")


@dataclass(frozen=True)
class CompilePlan:
    """Everything that was asked for, read and checked; nothing is written yet.

    Attributes:
        options: As asked.
        checkpoint: Opened.
        robots: Those that the bundle drives.
        prompt: Token ids around the observation.
        sequences: The tokens, by number of views; those of the first robot's first.
        precision: Of weights and products.
        variants: The chunk graphs, the default first.
        max_delay: In rows.
        batches: Requests at once, of further graphs, the smallest first.
        directions: (M, h) where there are refinement rounds.
    """

    options: CompileOptions
    checkpoint: Checkpoint
    robots: tuple[Robot, ...]
    prompt: Prompt
    sequences: Mapping[int, TokenSequence]
    precision: Precision
    variants: tuple[Variant, ...]
    max_delay: int
    batches: tuple[int, ...]
    directions: NDArray[np.float32] | None

    @property
    def default(self) -> Variant:
        """The chunk graph for who does not ask."""
        return self.variants[0]

    @property
    def sequence(self) -> TokenSequence:
        """The tokens of the default's number of views."""
        return self.sequences[self.default.views]

    @property
    def steps(self) -> int:
        """K of the default."""
        return self.default.steps

    @property
    def rounds(self) -> int:
        """N of the graphs with refinement; 0 where there are none."""
        return max(variant.rounds for variant in self.variants)

    @property
    def places(self) -> Places:
        """For how many slots there are adapters, where the checkpoint has them."""
        return Places.of(self.robots)

    def manifest(self, graphs: Graphs) -> Manifest:
        """The bundle's description."""
        name = self.checkpoint.directory.resolve().name
        return Manifest(
            format_version=FORMAT_VERSION,
            name=name,
            description=f"Being-H0.5 checkpoint {name}, compiled for {', '.join(robot.name for robot in self.robots)}.",
            chunk_length=self.sequence.rows,
            unified_width=UNIFIED_WIDTH,
            denoising_steps=self.steps,
            image=ImageInput(size=self.checkpoint.config.image_size, mean=IMAGE_MEAN, std=IMAGE_STD),
            language=LanguageInput(
                tokenizer=TOKENIZER_FILE,
                prompt=self.prompt.text,
                suffix=self.prompt.suffix,
                max_tokens=self.sequence.max_text,
            ),
            noise=self.robots[0].data.noise,
            robots={robot.name: robot.entry(self.max_delay) for robot in self.robots},
            graphs=graphs,
            reasoning=self._reasoning(),
            state_time=self.checkpoint.config.state_time,
            precision=self.precision.name,
            provenance=self._provenance(name),
        )

    def _reasoning(self) -> Reasoning | None:
        most = self.checkpoint.config.thought_tokens
        return Reasoning(max_tokens=most, ends=(self.prompt.end,)) if most else None

    def _provenance(self, name: str) -> dict[str, str]:
        options, config = self.options, self.checkpoint.config
        parameters = sum(math.prod(shape) for shape in expected_tensors(config).values())
        trained = NOT_TRAINED if config.trained_delay is None else f"trained with 0 to {config.trained_delay} rows"
        entries = {
            "checkpoint": name,
            "parameters": str(parameters),
            **origins(self.robots),
            "denoising_steps": ", ".join(str(steps) for steps in dict.fromkeys(v.steps for v in self.variants)),
            "refinement_rounds": str(self.rounds),
            "precision": self.precision.name,
            "locked_prefixes": trained,
        }
        mpg = config.mpg
        if options.directions is not None and not self.rounds:
            entries["mpg_directions"] = f"{options.directions.name} not used: no refinement rounds"
        if self.rounds and mpg is not None:
            origin = f"drawn from seed {options.seed}" if options.directions is None else options.directions.name
            entries["mpg"] = f"lambda {mpg.strength:g}, tau {mpg.temperature:g}, {mpg.projections} directions: {origin}"
        return entries | _parts(config) | made_with()


def _parts(config: BeingHConfig) -> dict[str, str]:
    """Parts of the architecture that published checkpoints lack, for people."""
    parts, mixture = {}, config.mixture
    if config.adapter_rank:
        parts["embodiment_adapters"] = f"rank {config.adapter_rank}"
    if mixture is not None:
        acting = f"{mixture.top_k} of {mixture.experts} experts, width {mixture.mlp}"
        parts["mixture_of_flow"] = f"{acting}, behind {mixture.shared_layers} shared layers"
    return parts


def origins(robots: tuple[Robot, ...]) -> dict[str, str]:
    """What the robots' entries were made of, for people."""
    if len(robots) == 1:
        robot = robots[0]
        return {"data_config": robot.data.name, "dataset": robot.source.dataset, "stats": robot.source.stats}
    return {
        f"robot.{robot.name}": f"{robot.data.name}, dataset {robot.source.dataset}, statistics {robot.source.stats}"
        for robot in robots
    }


def made_with() -> dict[str, str]:
    """Versions and today's date, for people."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    return {
        "versions": f"unichunk {importlib.metadata.version('unichunk')}, {versions}",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def plan_compilation(directory: Path, options: CompileOptions) -> CompilePlan:
    """Read and check everything but the values of the weights.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
    if options.precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise CheckpointError(f"unknown precision {options.precision!r}; choose from {known}")
    if options.guided and PRECISIONS[options.precision].blocks:
        raise CheckpointError(
            f"--guided with precision {options.precision}: guidance multiplies with the same matrices the other way "
            f"round, which 8 bits in blocks cannot; choose another precision or leave out --guided"
        )
    checkpoint = Checkpoint.open(directory)
    config = checkpoint.config
    robots = read_robots(checkpoint, options.sources(), options.action_hz)
    steps, rounds = _steps(config, options), _rounds(config, options)
    if max(steps) * (1 + rounds) > MOST_PASSES:
        raise CheckpointError(
            f"{max(steps)} denoising steps in 1 + {rounds} rounds: expected at most {MOST_PASSES} in all, since each "
            f"is in the graph"
        )
    prompt = Prompt.read(config, checkpoint.tokenizer_file)
    views = [len(robot.data.views) for robot in robots]
    return CompilePlan(
        options=options,
        checkpoint=checkpoint,
        robots=robots,
        prompt=prompt,
        sequences={count: token_sequence(config, prompt, count, options.instruction_tokens) for count in views},
        precision=PRECISIONS[options.precision],
        variants=all_variants(views, steps, rounds, guided=options.guided),
        max_delay=longest_delay(
            config.rows, config.rows // 2 if config.trained_delay is None else config.trained_delay, options.max_delay
        ),
        batches=batch_sizes(options.batch),
        directions=_directions(config, options) if rounds else None,
    )


def token_sequence(config: BeingHConfig, prompt: Prompt, views: int, instruction_tokens: int) -> TokenSequence:
    """The sequence of a checkpoint's tokens, with room for an instruction."""
    if not 1 <= instruction_tokens <= MOST_INSTRUCTION_TOKENS:
        raise CheckpointError(
            f"tokens of an instruction: expected 1 to {MOST_INSTRUCTION_TOKENS}, got {instruction_tokens}"
        )
    return TokenSequence(
        head=prompt.head,
        views=views,
        image_tokens=config.image_tokens,
        between=prompt.between,
        after_state=prompt.after_state,
        max_text=len(prompt.text_ids("")) + instruction_tokens,
        rows=config.rows,
    )


def _steps(config: BeingHConfig, options: CompileOptions) -> tuple[int, ...]:
    most = min(config.time_buckets, MOST_STEPS)
    asked = options.steps or (config.denoising_steps,)
    for steps in asked:
        if not 1 <= steps <= most:
            raise CheckpointError(f"denoising steps: expected 1 to {most}, got {steps}")
    if len(set(asked)) < len(asked):
        raise CheckpointError(f"denoising steps: expected each number once, got {', '.join(map(str, asked))}")
    return asked


def _rounds(config: BeingHConfig, options: CompileOptions) -> int:
    rounds = options.refinement_rounds
    if rounds is None:
        rounds = config.mpg.rounds if config.mpg is not None else 0
    if not 0 <= rounds <= MOST_ROUNDS:
        raise CheckpointError(f"refinement rounds: expected 0 to {MOST_ROUNDS}, got {rounds}")
    if config.mpg is None and rounds:
        raise CheckpointError(
            f"refinement rounds: expected 0, since the checkpoint does not use MPG (use_mpg and mpg_lambda > 0), got "
            f"{rounds}"
        )
    return rounds


def longest_delay(rows: int, own: int, asked: int | None) -> int:
    """Longest locked prefix, in rows: what was asked for, else the checkpoint's own.

    Raises:
        CheckpointError: It leaves no row of the chunk.
    """
    delay = own if asked is None else asked
    if not 0 <= delay < rows:
        raise CheckpointError(f"longest delay: expected 0 to {rows - 1} (less than the chunk), got {delay}")
    return delay


def batch_sizes(asked: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers of requests that further graphs shall compute at once, the smallest first.

    Raises:
        CheckpointError: One of them cannot be.
    """
    for size in asked:
        if not 2 <= size <= MOST_BATCH:
            raise CheckpointError(f"batch: expected 2 to {MOST_BATCH} requests, got {size}")
    return tuple(sorted(set(asked)))


def _directions(config: BeingHConfig, options: CompileOptions) -> NDArray[np.float32]:
    assert config.mpg is not None
    shape = (config.mpg.projections, config.language.width)
    if options.directions is None:
        if options.seed < 0:
            raise CheckpointError(f"seed: expected 0 or more, got {options.seed}")
        return drawn_directions(*shape, options.seed)
    return read_directions(options.directions, *shape)
