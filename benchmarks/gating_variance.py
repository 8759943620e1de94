"""Does gating the features fluctuate less than gating the output, as the MPG paper argues?

    python -m unichunk.benchmarks.gating_variance [--checkpoint DIR] [--draws N] [--json FILE] [--quick]

A gate g that fluctuates around given features O gives the enhancement E (g O) + b, or, gated behind it, g (E O + b).
The variances are var(g) (E O)^2 and var(g) (E O + b)^2: their ratio does not depend on the gate. It is averaged over
values here, for random weights (or a checkpoint's) and random action embeddings, with the bias as it is and ten times
as large.
Needs the extra `compile`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import paired_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.compile.checkpoint import Checkpoint

NAME: Final = "gating_variance"
QUICK_DRAWS: Final = 8
BIAS_SCALES: Final = (1.0, 10.0)


@dataclass(frozen=True)
class Options:
    """Print the ratio of variances, features gated over output gated."""

    checkpoint: Path | None = None
    """A checkpoint with MPG; random weights otherwise, others in each draw."""
    draws: int = 40
    """Draws of embeddings."""
    json: Path | None = None
    """Where to write the numbers as JSON."""
    quick: bool = False
    """Eight draws."""


def main() -> None:
    """Draw, and print a table."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "compile")
    rows, ratios = [], {}
    for scale in BIAS_SCALES:
        draws = QUICK_DRAWS if options.quick else options.draws
        variances = [_drawn(options.checkpoint, seed, scale) for seed in range(draws)]
        drawn = np.array([features / output for features, output in variances])
        ratios[f"variance, bias x {scale:g}: features gated / output gated"] = paired_ratio(
            *zip(*variances, strict=True), better="lower"
        )
        rows.append(
            {
                "bias_scale": scale,
                "mean": float(drawn.mean()),
                "smallest": float(drawn.min()),
                "largest": float(drawn.max()),
                "below_one": int(np.count_nonzero(drawn < 1.0)),
                "draws": len(drawn),
            }
        )
    print(
        markdown_table(
            ("bias", "mean ratio", "smallest", "largest", "below 1"),
            [
                (
                    f"x {row['bias_scale']:g}",
                    *(f"{row[name]:.3f}" for name in ("mean", "smallest", "largest")),
                    f"{row['below_one']} of {row['draws']}",
                )
                for row in rows
            ],
        )
    )
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios, rows=rows))


def _drawn(directory: Path | None, seed: int, bias_scale: float) -> tuple[float, float]:
    from unichunk.runtime.compile.checkpoint import Checkpoint  # noqa: PLC0415  (the extra)
    from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: PLC0415  (the extra)

    if directory is not None:
        return _variances(Checkpoint.open(directory), seed, bias_scale)
    with tempfile.TemporaryDirectory() as folder:
        random_checkpoint(Path(folder) / "checkpoint", seed=seed)
        return _variances(Checkpoint.open(Path(folder) / "checkpoint"), seed, bias_scale)


def _variances(checkpoint: Checkpoint, seed: int, bias_scale: float) -> tuple[float, float]:
    """Mean variance, as a multiple of the gate's, with gated features and with a gated output."""

    def weight(name: str) -> NDArray[np.float64]:
        return np.asarray(checkpoint.tensor(name).astype(np.float64))

    def linear(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(x @ weight(f"{name}.weight").T + weight(f"{name}.bias"))

    random = np.random.default_rng(seed)
    config = checkpoint.config
    embedded = random.uniform(0.1, 3.0) * random.normal(size=(config.rows, config.expert.width))
    features = linear("action_to_vlm_proj", embedded)
    # The row that stands for the state is zero.
    observed = linear("mpg.obs_proj", np.concatenate([np.zeros_like(features[:1]), features]))
    plain = observed @ weight("mpg.enhancement_proj.weight").T
    shifted = plain + bias_scale * weight("mpg.enhancement_proj.bias")
    return float(np.square(plain).mean()), float(np.square(shifted).mean())


if __name__ == "__main__":
    main()
