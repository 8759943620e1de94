"""What keeping keys and values gains over recomputing the whole sequence in every denoising step.

    python -m unichunk.benchmarks.caching [--json FILE] [--quick] [--threads 1 2]

Same weights, same layers, same engine (ONNX Runtime on the CPU), interleaved. The whole sequence is what the published
code computes in every step; both encode the images once. Also: what `Policy.infer` adds to the graphs, with two views
of 480 x 640 pixels. Needs the extra `compile`.

Prediction, by weights times tokens in the decoder layers: with P tokens before the T actions, of which H never change,
recomputing costs rounds K (P language + T expert), keeping (P - H) language + rounds K T expert. Images, which both
encode once, and what a product with few rows costs more than its arithmetic are left out, so less will be measured.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import onnxruntime
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.stages.random_bundles import SIZES
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.policy import EngineOptions, Policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Engine

NAME: Final = "caching"
QUICK_REPETITIONS: Final = 6
COLUMNS: Final = (
    "threads",
    "expert",
    "N",
    "tokens",
    "recomputed [ms]",
    "kept [ms]",
    "factor (quartiles)",
    "predicted",
)

TOKENS: Final = 351
"""Length of the whole sequence, as long as a published LIBERO prompt with two views."""

EXPERT_WIDTHS: Final = (256, 512)
"""Half the language model's width as in the published sizes, and the same width."""

REFINEMENT_ROUNDS: Final = 2
DATASET: Final = "uni_posttrain"
VIEWS: Final = 2
MEASURED_SHAPE: Final = (480, 640, 3)


@dataclass(frozen=True)
class Options:
    """Measure caching and print a table."""

    json: Path | None = None
    """Where to write the numbers as JSON."""
    quick: bool = False
    """A small model and few repetitions, to see that the benchmark works."""
    repetitions: int = 12
    """Repetitions of each, interleaved."""
    threads: tuple[int, ...] = (1, 2)
    """Threads inside one operator, for both; one is what `EngineOptions` has."""


_Seconds: TypeAlias = "NDArray[np.float64]"


class _Timed:
    """An engine that notes how long it takes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

    def run(self, inputs: Any) -> Any:
        begin = time.perf_counter()
        outputs = self._engine.run(inputs)
        self.seconds = time.perf_counter() - begin
        return outputs


def main() -> None:
    """Run the benchmark."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "compile")
    rows, ratios = [], {}
    for threads, width, rounds in product(options.threads, EXPERT_WIDTHS, (0, REFINEMENT_ROUNDS)):
        row, ratio = _measured(_sizes(width, quick=options.quick), rounds, threads, options)
        rows.append(row)
        ratios[f"recomputed / kept: threads {threads}, expert {row['expert_width']}, N = {rounds}"] = ratio
    print(
        markdown_table(
            (*COLUMNS, "infer adds [ms]"),
            [
                (
                    row["threads"],
                    row["expert_width"],
                    row["refinement_rounds"],
                    row["tokens"],
                    f"{row['recomputed_ms']:.0f}",
                    f"{row['kept_ms']:.0f}",
                    "{:.1f} ({:.1f} to {:.1f})".format(row["factor"], *row["factor_quartiles"]),
                    f"{row['predicted']:.1f}",
                    f"{row['infer_adds_ms']:.1f}",
                )
                for row in rows
            ],
        )
    )
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios, rows=rows))


def _sizes(expert_width: int, *, quick: bool) -> Sizes:
    if quick:
        return Sizes(image_size=224, expert_width=expert_width // 8, rows=16, steps=4, mpg_rounds=REFINEMENT_ROUNDS)
    return replace(SIZES["small"], expert_width=expert_width, expert_mlp=3 * expert_width, mpg_rounds=REFINEMENT_ROUNDS)


def _measured(sizes: Sizes, rounds: int, threads: int, options: Options) -> tuple[dict[str, Any], Ratio]:
    from unichunk.benchmarks.uncached_graph import write_uncached  # noqa: PLC0415  (the extra, here and below)
    from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: PLC0415
    from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: PLC0415
    from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint, bundle, uncached = (folder / part for part in ("checkpoint", "bundle", "uncached"))
        random_checkpoint(checkpoint, sizes)
        head, text = _lengths(checkpoint, sizes)
        chosen = CompileOptions("libero_nonorm", DATASET, instruction_tokens=text, refinement_rounds=rounds)
        compile_checkpoint(checkpoint, bundle, chosen)
        uncached.mkdir()
        session = _session(write_uncached(checkpoint, uncached, chosen), threads)
        policy = Policy.load(bundle, refinement_rounds=rounds, engine=EngineOptions(threads=threads))
        recomputed, kept, infer = _times(policy, session, QUICK_REPETITIONS if options.quick else options.repetitions)
    factors = recomputed / kept
    passes = (1 + rounds) * sizes.steps
    acting = sizes.rows * _parameters(sizes.expert_width, sizes.expert_mlp, sizes)
    speaking = _parameters(sizes.width, sizes.mlp, sizes)
    predicted = (
        passes
        * ((TOKENS - sizes.rows) * speaking + acting)
        / ((TOKENS - sizes.rows - head) * speaking + passes * acting)
    )
    row = {
        "threads": threads,
        "expert_width": sizes.expert_width,
        "refinement_rounds": rounds,
        "steps": sizes.steps,
        "tokens": TOKENS,
        "head_tokens": head,
        "recomputed_ms": 1e3 * float(np.median(recomputed)),
        "kept_ms": 1e3 * float(np.median(kept)),
        "factor": float(np.median(factors)),
        "factor_quartiles": [float(value) for value in np.quantile(factors, [0.25, 0.75])],
        "predicted": predicted,
        "infer_adds_ms": 1e3 * float(np.median(infer - kept)),
    }
    return row, paired_ratio(recomputed.tolist(), kept.tolist(), better="higher")


def _lengths(checkpoint: Path, sizes: Sizes) -> tuple[int, int]:
    """Tokens that never change before the images, and room for the instruction that makes the sequence long enough."""
    from unichunk.runtime.compile.checkpoint import Checkpoint  # noqa: PLC0415

    opened = Checkpoint.open(checkpoint)
    prompt = Prompt.read(opened.config, opened.tokenizer_file)
    others = [*prompt.head, *prompt.between, *prompt.after_state, *prompt.text_ids("")]
    images = VIEWS * opened.config.image_tokens
    return len(prompt.head), TOKENS - sizes.rows - images - 1 - len(others)


def _parameters(width: int, mlp: int, sizes: Sizes) -> int:
    """Weights of one layer that a token of this width is multiplied with."""
    return width * sizes.head_dim * 2 * (sizes.heads + sizes.kv_heads) + 3 * width * mlp


def _session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])


def _times(policy: Policy, uncached: Any, repetitions: int) -> tuple[_Seconds, _Seconds, _Seconds]:
    """Seconds of recomputing, of the two graphs that keep, and of `infer` with them; interleaved."""
    engines: Any = policy._engines  # noqa: SLF001  nothing else sees the graphs alone
    prefix, chunk = _Timed(engines.prefix), _Timed(engines.chunk)
    engines.prefix, engines.chunk = prefix, chunk
    random = np.random.default_rng(0)
    observation = policy.example_observation()
    observation |= {
        name: random.integers(0, 256, MEASURED_SHAPE, np.uint8) for name in observation if name.startswith("video.")
    }
    inputs = {tensor.name: tensor for tensor in uncached.get_inputs()}
    values: dict[str, Any] = {
        name: random.standard_normal(tensor.shape).astype(np.float32)
        for name, tensor in inputs.items()
        if tensor.type == "tensor(float)"
    }
    values["delay"] = np.array(4)
    values["tokens"] = np.full(inputs["tokens"].shape, 5)
    locked = random.standard_normal((policy.chunk_length, 200)).astype(np.float32)
    times = []
    for repetition in range(repetitions + 1):
        begin = time.perf_counter()
        uncached.run(["actions"], values)
        middle = time.perf_counter()
        policy.infer(observation, locked, 4)
        end = time.perf_counter()
        if repetition:  # the first is for warming up
            times.append((middle - begin, prefix.seconds + chunk.seconds, end - middle))
    recomputed, kept, infer = np.array(times).T
    return recomputed, kept, infer


if __name__ == "__main__":
    main()
