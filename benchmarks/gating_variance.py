"""Does gating the features fluctuate less than gating the output, as the MPG paper argues?

    python -m unichunk.benchmarks.gating_variance [--checkpoint DIR] [--draws N]

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
from typing import TYPE_CHECKING

import numpy as np
import tyro

from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Options:
    """Print the ratio of variances, features gated over output gated."""

    checkpoint: Path | None = None
    """A checkpoint with MPG; random weights otherwise, others in each draw."""
    draws: int = 40
    """Draws of embeddings."""


def main() -> None:
    """Draw, and print a table."""
    options = tyro.cli(Options, description=__doc__)
    print("| bias | mean ratio | smallest | largest | below 1 |\n|---|---|---|---|---|")
    for scale in (1.0, 10.0):
        ratios = np.array([_drawn(options.checkpoint, seed, scale) for seed in range(options.draws)])
        print(
            f"| x {scale:g} | {ratios.mean():.3f} | {ratios.min():.3f} | {ratios.max():.3f} | "
            f"{np.count_nonzero(ratios < 1.0)} of {len(ratios)} |"
        )


def _drawn(directory: Path | None, seed: int, bias_scale: float) -> float:
    if directory is not None:
        return _ratio(Checkpoint.open(directory), seed, bias_scale)
    with tempfile.TemporaryDirectory() as folder:
        random_checkpoint(Path(folder) / "checkpoint", seed=seed)
        return _ratio(Checkpoint.open(Path(folder) / "checkpoint"), seed, bias_scale)


def _ratio(checkpoint: Checkpoint, seed: int, bias_scale: float) -> float:
    """Mean variance with gated features over that with a gated output."""

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
    return float(np.square(plain).mean() / np.square(shifted).mean())


if __name__ == "__main__":
    main()
