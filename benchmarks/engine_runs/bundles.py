"""Random checkpoints of a published architecture, compiled in every precision with every number of steps and rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from unichunk.benchmarks.stages.random_bundles import DATASET, SIZES, data_config, write_random_checkpoint
from unichunk.benchmarks.stages.robots import with_views
from unichunk.embodiments.catalogue import load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.benchmarks.roofline.architecture import Model
    from unichunk.benchmarks.stages.random_bundles import Size
    from unichunk.embodiments.spec import EmbodimentSpec

Precision = Literal["fp32", "fp16", "bf16", "int8"]

ROBOT: Final = "so101"
BASE: Final[Precision] = "fp32"
"""What the others are compared with."""


@dataclass(frozen=True)
class Workload:
    """What is compiled.

    Attributes:
        size: Of the model.
        views: V.
        steps: Numbers of Euler steps, K.
        rounds: N of the graphs with refinement; 0 for none.
    """

    size: Size
    views: int
    steps: tuple[int, ...]
    rounds: int

    @property
    def cases(self) -> list[tuple[int, int]]:
        """K and N of all chunk graphs."""
        return [(steps, rounds) for steps in self.steps for rounds in dict.fromkeys((0, self.rounds))]

    @property
    def spec(self) -> EmbodimentSpec:
        """The robot, with as many cameras."""
        return with_views(load_spec(ROBOT), self.views)

    def model(self, precision: Precision, steps: int, rounds: int) -> Model:
        """What one inference computes."""
        from unichunk.benchmarks.roofline.sizes import model_of_sizes  # noqa: PLC0415  (the extra)

        model = model_of_sizes(f"random {self.size}", SIZES[self.size], precision=precision)
        return model.asked(views=self.views, steps=steps, rounds=rounds)


def write_checkpoint(folder: Path, workload: Workload) -> None:
    """Write a random checkpoint.

    Args:
        folder: Where; must not exist yet.
        workload: What for.
    """
    write_random_checkpoint(folder, workload.size, workload.spec, "joints", workload.views)


def compile_bundle(checkpoint: Path, out: Path, workload: Workload, precision: Precision) -> None:
    """Compile it, with a chunk graph for each number of steps and rounds.

    Args:
        checkpoint: What `write_checkpoint` wrote.
        out: Where the bundle shall be.
        workload: Steps and rounds.
        precision: Of the bundle.

    Raises:
        UnichunkError: The compiler does not take it.
    """
    from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: PLC0415  (the extra)
    from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: PLC0415
    from unichunk.runtime.compile.robots import RobotSource  # noqa: PLC0415

    config = out.with_name(f"{out.name}-config.json")
    config.write_bytes(msgspec.json.encode(data_config(workload.spec, "joints")))
    robot = RobotSource(config, DATASET, name=workload.spec.name)
    options = CompileOptions(
        robots=(robot,), steps=workload.steps, refinement_rounds=workload.rounds, precision=precision
    )
    compile_checkpoint(checkpoint, out, options)
