"""A checkpoint to a policy bundle."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.compile.checkpoint import TOKENIZER_FILE, Checkpoint
from unichunk.runtime.compile.checkpoint_weights import CheckpointWeights
from unichunk.runtime.compile.chunk import build_chunk
from unichunk.runtime.compile.directions import drawn_directions, read_directions
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.head import head_keys_values
from unichunk.runtime.compile.metadata import MERGED
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.compile.prefix import build_prefix
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.robots import ROBOT_FORM, RobotSource, read_robots
from unichunk.runtime.compile.sequence import TokenSequence
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.bundle import staged_bundle
from unichunk.runtime.policy.manifest import (
    FORMAT_VERSION,
    BatchedGraphs,
    ChunkGraph,
    Graphs,
    ImageInput,
    LanguageInput,
    Manifest,
)
from unichunk.runtime.policy.manifest import (
    Graph as GraphEntry,
)
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.compile.config import BeingHConfig
    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.robots import Robot
    from unichunk.runtime.compile.weight_file import Weight

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)
INSTRUCTION_TOKENS: Final = 96
MOST_INSTRUCTION_TOKENS: Final = 4096
MOST_STEPS: Final = 1000
MOST_ROUNDS: Final = 16
MOST_PASSES: Final = 2000
"""Euler steps of all rounds: each is in the graph."""
MOST_BATCH: Final = 64
NOT_TRAINED: Final = "not trained with locked prefixes"
PACKAGES: Final = ("onnx", "numpy", "tokenizers", "safetensors")


@dataclass(frozen=True)
class CompileOptions:
    """What can be chosen when a checkpoint is compiled; None where the checkpoint's own value is taken.

    Attributes:
        data_config: Name or file of the data configuration, for one robot; its name is the metadata's embodiment tag.
        dataset: Whose metadata to use.
        stats: Which statistics of it.
        robots: Instead of these three: one for each robot.
        steps: K, Euler steps.
        refinement_rounds: N of the second chunk graph; 0 for none.
        precision: fp32, fp16 or bf16.
        directions: `.npy` file of unit vectors (M, h); without it they are drawn from the seed.
        seed: Of the directions.
        instruction_tokens: Longest instruction, in tokens.
        max_delay: Longest locked prefix, in rows.
        action_hz: Rows a second, for one robot; without it, the rate of the dataset's videos.
        batch: Further graphs, for these numbers of requests at once.
    """

    data_config: str | Path | None = None
    dataset: str | None = None
    stats: str = MERGED
    robots: tuple[RobotSource, ...] = ()
    steps: int | None = None
    refinement_rounds: int | None = None
    precision: str = "fp32"
    directions: Path | None = None
    seed: int = 0
    instruction_tokens: int = INSTRUCTION_TOKENS
    max_delay: int | None = None
    action_hz: int | None = None
    batch: tuple[int, ...] = ()

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


def compile_checkpoint(checkpoint_dir: Path, out: Path, options: CompileOptions) -> Manifest:
    """Compile a Being-H0.5 checkpoint.

    Weights go from the checkpoint's shards to the bundle one at a time. A bundle that is in the way is replaced when
    the new one is complete; whatever goes wrong before, nothing is left behind.

    Args:
        checkpoint_dir: Folder of the checkpoint.
        out: Where the bundle shall be.
        options: What to make of it.

    Returns:
        The bundle's manifest.

    Raises:
        CheckpointError: The checkpoint, or what was asked of it, is wrong; one line.
        BundleError: Something else is in the way, or the bundle cannot be written.
    """
    plan = plan_compilation(checkpoint_dir, options)
    with staged_bundle(out) as staged:
        graphs = _write_graphs(plan, staged.folder)
        shutil.copyfile(plan.checkpoint.tokenizer_file, staged.folder / TOKENIZER_FILE)
        return staged.finish(plan.manifest(graphs))


@dataclass(frozen=True)
class CompilePlan:
    """Everything that was asked for, read and checked; nothing is written yet.

    Attributes:
        options: As asked.
        checkpoint: Opened.
        robots: Those that the bundle drives.
        prompt: Token ids around the observation.
        sequence: The tokens.
        precision: Of weights and products.
        steps, rounds, max_delay: K, N, rows.
        batches: Requests at once, of further graphs, the smallest first.
        directions: (M, h) where N > 0.
    """

    options: CompileOptions
    checkpoint: Checkpoint
    robots: tuple[Robot, ...]
    prompt: Prompt
    sequence: TokenSequence
    precision: Precision
    steps: int
    rounds: int
    max_delay: int
    batches: tuple[int, ...]
    directions: NDArray[np.float32] | None

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
            precision=self.precision.name,
            provenance=self._provenance(name),
        )

    def _provenance(self, name: str) -> dict[str, str]:
        options, config = self.options, self.checkpoint.config
        parameters = sum(math.prod(shape) for shape in expected_tensors(config).values())
        trained = NOT_TRAINED if config.trained_delay is None else f"trained with 0 to {config.trained_delay} rows"
        entries = {
            "checkpoint": name,
            "parameters": str(parameters),
            **self._origins(),
            "denoising_steps": str(self.steps),
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
        versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
        entries["versions"] = f"unichunk {importlib.metadata.version('unichunk')}, {versions}"
        entries["date"] = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        return entries

    def _origins(self) -> dict[str, str]:
        """What the robots' entries were made of."""
        if len(self.robots) == 1:
            robot = self.robots[0]
            return {"data_config": robot.data.name, "dataset": robot.source.dataset, "stats": robot.source.stats}
        return {
            f"robot.{robot.name}": f"{robot.data.name}, dataset {robot.source.dataset}, statistics {robot.source.stats}"
            for robot in self.robots
        }


def plan_compilation(directory: Path, options: CompileOptions) -> CompilePlan:
    """Read and check everything but the values of the weights.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
    if options.precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise CheckpointError(f"unknown precision {options.precision!r}; choose from {known}")
    checkpoint = Checkpoint.open(directory)
    config = checkpoint.config
    robots = read_robots(checkpoint, options.sources(), options.action_hz)
    steps, rounds = _steps(config, options), _rounds(config, options)
    if steps * (1 + rounds) > MOST_PASSES:
        raise CheckpointError(
            f"{steps} denoising steps in 1 + {rounds} rounds: expected at most {MOST_PASSES} in all, since each is in "
            f"the graph"
        )
    prompt = Prompt.read(config, checkpoint.tokenizer_file)
    return CompilePlan(
        options=options,
        checkpoint=checkpoint,
        robots=robots,
        prompt=prompt,
        sequence=token_sequence(config, prompt, len(robots[0].data.views), options.instruction_tokens),
        precision=PRECISIONS[options.precision],
        steps=steps,
        rounds=rounds,
        max_delay=_max_delay(config, options.max_delay),
        batches=_batches(options.batch),
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


def _steps(config: BeingHConfig, options: CompileOptions) -> int:
    steps = config.denoising_steps if options.steps is None else options.steps
    most = min(config.time_buckets, MOST_STEPS)
    if not 1 <= steps <= most:
        raise CheckpointError(f"denoising steps: expected 1 to {most}, got {steps}")
    return steps


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


def _max_delay(config: BeingHConfig, asked: int | None) -> int:
    delay = asked
    if delay is None:
        delay = config.rows // 2 if config.trained_delay is None else config.trained_delay
    if not 0 <= delay < config.rows:
        raise CheckpointError(f"longest delay: expected 0 to {config.rows - 1} (less than the chunk), got {delay}")
    return delay


def _batches(asked: tuple[int, ...]) -> tuple[int, ...]:
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


def _write_graphs(plan: CompilePlan, folder: Path) -> Graphs:
    """The weight file and all graphs; weights are written as the graphs come to need them."""
    with (folder / WEIGHT_FILE).open("wb") as stream:
        file = WeightFile(stream)
        weights = CheckpointWeights(plan.checkpoint.config, plan.checkpoint.tensor, file, plan.precision)
        head = head_keys_values(weights, plan.sequence.head)
        prefix, chunks = _write_batch(plan, folder, weights, head, 1)
        batched = []
        for size in plan.batches:
            of_all, of_rounds = _write_batch(plan, folder, weights, head, size)
            batched.append(BatchedGraphs(size=size, prefix=of_all.file, chunks=tuple(part.file for part in of_rounds)))
    return Graphs(prefix=prefix, chunks=chunks, batched=tuple(batched))


def _write_batch(
    plan: CompilePlan, folder: Path, weights: CheckpointWeights, head: Sequence[tuple[Weight, Weight]], size: int
) -> tuple[GraphEntry, tuple[ChunkGraph, ...]]:
    """The graphs for a number of requests."""

    def graph(name: str) -> Graph:
        return Graph(name if size == 1 else f"{name}_batch{size}", plan.precision, weights.file, size)

    prefix, chunks = graph("prefix"), []
    build_prefix(prefix, weights, plan.sequence, head)
    for rounds in dict.fromkeys((0, plan.rounds)):
        chunk = graph("chunk_mpg" if rounds else "chunk")
        build_chunk(chunk, weights, plan.sequence, plan.steps, rounds, plan.directions)
        chunks.append(ChunkGraph(refinement_rounds=rounds, **_written(chunk, folder)))
    return GraphEntry(**_written(prefix, folder)), tuple(chunks)


def _written(graph: Graph, folder: Path) -> dict[str, Any]:
    """Writes a graph; its file and signature."""
    file = f"{graph.name}.onnx"
    graph.save(folder / file)
    return {"file": file, "inputs": tuple(graph.inputs), "outputs": tuple(graph.outputs)}
