"""`unichunk compile`: a checkpoint to a policy bundle."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Annotated, Final

import tyro

from unichunk.runtime.errors import CheckpointError, UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.server.raised_signals import StoppedBySignal, raised_signals
from unichunk.server.say import say
from unichunk.server.usage_error import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.runtime.policy.manifest import ChunkGraph, Deviation, Manifest

NEEDED: Final = ("onnx", "safetensors", "ml_dtypes")
NOTES: Final = {
    "fp16": "ONNX Runtime's CPU provider has no float16 products: it runs this bundle in float32, the weights cast "
    "when it is loaded. float16 is for GPUs.",
    "bf16": "ONNX Runtime's CPU provider has no bfloat16 products and cannot run this bundle. bfloat16 is for GPUs.",
    "int8": "Its products are ONNX Runtime's own operation MatMulNBits: TensorRT cannot run this bundle. On the CPU "
    "they round what they multiply with to 8 bits as well.",
}


@dataclass
class Compile:
    """Compile a Being-H0.5 checkpoint to a policy bundle.

    Exit status: 0 written; 2 a wrong command line; 3 refused, with one line on the standard error that says why; 130,
    143 or 129 stopped by SIGINT, SIGTERM or SIGHUP. Nothing half-written is left.

    One bundle can drive several robots: --robot for each instead of --data-config and --dataset.

    Try: unichunk compile CHECKPOINT --data-config libero_nonorm --dataset uni_posttrain --stats merged --out BUNDLE
    """

    checkpoint: tyro.conf.Positional[Path]
    """Folder of the checkpoint."""
    out: Path
    """Folder of the bundle; an older bundle there is replaced."""
    data_config: str | None = None
    """Views and keys: a name (libero_nonorm, robocasa_human, so101_follow, ...) or a JSON file."""
    dataset: str | None = None
    """Dataset whose metadata the checkpoint holds."""
    stats: str = "merged"
    """Statistics: merged, or the name of an entry in the dataset's metadata."""
    robot: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """Once for each robot: NAME=DATA_CONFIG:DATASET[:STATS], for example so101=generalist_so101:generalist:so101."""
    steps: Annotated[tuple[int, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """Euler steps of a round; without it, the checkpoint's. Given several times, the bundle has graphs with each on the
    same weights, and the first is what `unichunk run` takes without --steps."""
    refinement_rounds: int | None = None
    """MPG rounds of further chunk graphs, 0 for none. Without it, the checkpoint's."""
    precision: str = "fp32"
    """Type of weights and matrix products: fp32, fp16, bf16, or int8 for weights in 8 bits (ONNX Runtime alone)."""
    observations: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """Files of `unichunk run --record-observations`: on these the actions are compared with those in fp32."""
    max_deviation: float | None = None
    """With --observations: refuse a bundle whose actions are further from those in fp32, in normalized units. Without
    it, 0.1."""
    mpg_directions: Path | None = None
    """Unit vectors along which MPG compares features, .npy of shape (projections, language width)."""
    seed: int = 0
    """Without --mpg-directions: seed they are drawn from."""
    instruction_tokens: int = 96
    """Longest instruction, in tokens."""
    max_delay: int | None = None
    """Longest locked prefix, in rows. Without it, the longest of the training (simulated_delay - 1), or half a chunk
    where the training locked none."""
    action_hz: int | None = None
    """Rows of a chunk a second, [Hz], for one robot. Without it, the rate of the dataset's videos."""
    batch: Annotated[tuple[int, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """Further graphs on the same weights, for this many requests at once, so that a server may batch; once for each
    size, for example --batch 4."""

    guided: bool = False
    """Also graphs that steer each chunk towards the running plan (inference-time real-time chunking), for checkpoints
    that were not trained with locked prefixes; `unichunk run --guided` takes them."""

    def __call__(self) -> int:
        """Compile; return the exit status."""
        begin = time.monotonic()
        try:
            with raised_signals():
                manifest = self._compiled()
        except StoppedBySignal as stop:
            say(f"unichunk compile: stopped by {stop.signal.name}; nothing half-written is left\n", sys.stderr)
            return stop.exit_status
        except UnichunkError as error:
            say(f"unichunk compile: {error}\n", sys.stderr)
            return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATUS[ExitReason.REFUSED]
        except MemoryError as error:
            what = f" ({error})" if str(error) else ""
            say(f"unichunk compile: not enough memory to compile {self.checkpoint}{what}\n", sys.stderr)
            return EXIT_STATUS[ExitReason.REFUSED]
        say(compile_summary(self.out, manifest, time.monotonic() - begin), sys.stdout)
        return 0

    def _compiled(self) -> Manifest:
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise UnichunkError(f"{', '.join(missing)} not installed; pip install 'unichunk[compile]'")
        from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: PLC0415  (the extra)
        from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: PLC0415  (the extra)
        from unichunk.runtime.compile.robots import RobotSource  # noqa: PLC0415  (the extra)

        try:
            robots = tuple(map(RobotSource.parse, self.robot))
        except CheckpointError as error:
            raise UsageError(str(error)) from None
        options = CompileOptions(
            data_config=self.data_config,
            dataset=self.dataset,
            stats=self.stats,
            robots=robots,
            steps=self.steps,
            refinement_rounds=self.refinement_rounds,
            precision=self.precision,
            observations=self.observations,
            max_deviation=self.max_deviation,
            directions=self.mpg_directions,
            seed=self.seed,
            instruction_tokens=self.instruction_tokens,
            max_delay=self.max_delay,
            action_hz=self.action_hz,
            batch=self.batch,
            guided=self.guided,
        )
        try:
            options.sources()
        except CheckpointError as error:
            raise UsageError(str(error)) from None
        return compile_checkpoint(self.checkpoint, self.out, options)


def compile_summary(out: Path, manifest: Manifest, seconds: float) -> str:
    """A few lines that say what was written."""
    sizes = {name: (out / name).stat().st_size for name in manifest.files}
    graphs = manifest.graphs
    chunks = ", ".join(f"{graph.file} ({_chunk_in_words(graph)})" for graph in graphs.chunks)
    tokens = manifest.language.max_tokens if manifest.language is not None else 0
    lines = [
        f"{out}: {manifest.name}, {int(manifest.provenance['parameters']) / 1e6:.3g} M parameters, "
        f"{manifest.precision}, {sum(sizes.values()) / 1e6:.4g} MB, compiled in {seconds:.1f} s",
        f"  graphs {', '.join(graph.file for graph in (graphs.prefix, *graphs.other_prefixes))}, {chunks}; "
        f"K = {manifest.denoising_steps}, T = {manifest.chunk_length}, text of {tokens} tokens with its prompt",
        *(
            f"  for {batch.size} requests at once: {', '.join((batch.prefix, *batch.chunks))}"
            for batch in graphs.batched
        ),
        *(
            f"  robot {name}: views {', '.join(robot.cameras)}, {robot.action_hz} Hz, d up to {robot.max_delay}"
            for name, robot in manifest.robots.items()
        ),
        "  files " + ", ".join(f"{name} {size / 1e6:.4g} MB" for name, size in sorted(sizes.items())),
    ]
    if manifest.deviation is not None:
        lines.append(_deviation_in_words(manifest.deviation))
    return "\n".join([*lines, *(f"  note: {note}" for note in _notes(manifest))]) + "\n"


def _deviation_in_words(deviation: Deviation) -> str:
    """How far the actions are from those in fp32."""
    keys = ", ".join(f"{name} {value:.3g}" for name, value in deviation.keys.items())
    return (
        f"  deviation from fp32, {deviation.method} on {deviation.observations} observations of {deviation.source}: at "
        f"most {deviation.largest:.3g} in normalized units; {keys} in physical units"
    )


def _chunk_in_words(graph: ChunkGraph) -> str:
    """What tells it from the others."""
    parts = [f"1 + {graph.refinement_rounds} rounds"]
    parts += [] if graph.denoising_steps is None else [f"K = {graph.denoising_steps}"]
    parts += [] if graph.views is None else [f"{graph.views} views"]
    parts += ["guided"] if graph.guided else []
    return ", ".join(parts)


def _notes(manifest: Manifest) -> Iterator[str]:
    """What one may not have expected."""
    from unichunk.runtime.compile.compile_plan import NOT_TRAINED  # noqa: PLC0415  (the extra)

    if manifest.precision in NOTES:
        yield NOTES[manifest.precision]
        if manifest.deviation is None:
            yield "deviation from fp32 not measured: give --observations of `unichunk run --record-observations`"
    if not manifest.locks:
        yield "this policy cannot lock: committed rows are stitched in front of rows that do not know them"
    if manifest.provenance.get("locked_prefixes") == NOT_TRAINED:
        delay = max(robot.max_delay for robot in manifest.robots.values())
        yield (
            f"{NOT_TRAINED} (use_training_time_rtc, simulated_delay): up to {delay} of "
            f"{manifest.chunk_length} rows may be locked, and how good the rest is then is not known"
        )
    elif any(graph.guided for graph in manifest.graphs.chunks):
        yield (
            "guided graphs are for checkpoints that were not trained with locked prefixes, and take longer: measure "
            "before you run this one with --guided"
        )
    if manifest.state_time == "takeover":
        yield (
            "this policy is told the state that is expected when its rows take over; `unichunk run` rolls it forward, "
            "and any other client that locks rows has to"
        )
    if "mpg_directions" in manifest.provenance:
        yield f"directions {manifest.provenance['mpg_directions']}"
