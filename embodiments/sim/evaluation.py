"""How well policies follow the named block, in virtual time: under several conditions, with both instructions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.conditions import CONDITIONS
from unichunk.embodiments.sim.intervals import mean_and_error, wilson
from unichunk.embodiments.sim.reference import expert_score, no_motion_score
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.conditions import Condition
    from unichunk.embodiments.sim.follow_score import FollowScore
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.chunk_policy import ChunkPolicy

EVALUATION_SEEDS: Final = (101, 102, 103, 104, 105, 106)
"""Paths that no demonstration has."""

EVALUATION_S: Final = 20.0
EVALUATION_DELAY: Final = 4
INSTRUCTION: Final = "follow the {block} block"

EXPERT: Final = "expert"
NO_MOTION: Final = "no motion"
"""Labels of the references, which see no picture: they are run where the instructions differ, not the view."""


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        label: Of the policy, `EXPERT` or `NO_MOTION`.
        condition: Its name.
        block: The block that the (first) instruction named.
        seed: Of the paths and of the disturbance.
        score: How it went.
        max_command_step: Largest change of a joint between consecutive commands, [rad]; 0 for references.
    """

    label: str
    condition: str
    block: Block
    seed: int
    score: FollowScore
    max_command_step: float = 0.0


class Evaluation:
    """Many runs and what they say.

    Args:
        trials: The runs.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = tuple(trials)

    def documents(self) -> list[dict[str, Any]]:
        """The runs as plain values, for a report."""
        return [{**asdict(trial), "success": trial.score.success} for trial in self.trials]

    def table(self) -> str:
        """One Markdown row for each condition and label: success with its 95 % interval, means with standard errors."""
        lines = [
            "| condition | policy | success (95 % Wilson) | on target | error [mm] | error to the other block [mm] | "
            "largest command step [rad] |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [self._row(condition, label) for condition, label in self._groups()]
        return "\n".join(lines)

    def comparison(self, base: str) -> str:
        """One Markdown row for each condition and policy: differences to another policy on the same runs.

        Args:
            base: Label of the policy to compare with.
        """
        lines = [
            f"| condition | policy | success minus {base} | on target minus {base} | error minus {base} [mm] |",
            "|---|---|---|---|---|",
        ]
        for condition, label in self._groups():
            if label in (base, EXPERT, NO_MOTION):
                continue
            success = self.difference(condition, label, base, lambda score: float(score.success))
            on_target = self.difference(condition, label, base, lambda score: score.on_target)
            error = self.difference(condition, label, base, lambda score: 1e3 * score.error)
            lines.append(
                f"| {condition} | {label} | {_signed(success, 2)} | {_signed(on_target, 3)} | {_signed(error, 1)} |"
            )
        return "\n".join(lines)

    def difference(
        self, condition: str, label: str, base: str, value: Callable[[FollowScore], float]
    ) -> tuple[float, float]:
        """Mean difference between two policies under a condition, and its standard error.

        Both ran on the same paths with the same disturbances. Runs with the same paths are not independent of each
        other: they are averaged first.
        """
        by_seed: dict[int, list[float]] = {}
        other = {(trial.block, trial.seed): value(trial.score) for trial in self._of(condition, base)}
        for trial in self._of(condition, label):
            by_seed.setdefault(trial.seed, []).append(value(trial.score) - other[trial.block, trial.seed])
        return mean_and_error([float(np.mean(differences)) for differences in by_seed.values()])

    def _groups(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((trial.condition, trial.label) for trial in self.trials))

    def _of(self, condition: str, label: str) -> list[Trial]:
        return [trial for trial in self.trials if (trial.condition, trial.label) == (condition, label)]

    def _row(self, condition: str, label: str) -> str:
        trials = self._of(condition, label)
        scores = [trial.score for trial in trials]
        successes = sum(score.success for score in scores)
        low, high = wilson(successes, len(scores))
        error, other = (
            mean_and_error([1e3 * value for value in values])
            for values in ([score.error for score in scores], [score.other_error for score in scores])
        )
        step = max(trial.max_command_step for trial in trials)
        return (
            f"| {condition} | {label} | {successes}/{len(scores)} ({low:.2f} to {high:.2f}) | "
            f"{np.mean([score.on_target for score in scores]):.2f} | {error[0]:.1f} +- {error[1]:.1f} | "
            f"{other[0]:.1f} +- {other[1]:.1f} | {f'{step:.4f}' if step else '-'} |"
        )


def evaluate(
    spec: EmbodimentSpec,
    policies: Sequence[tuple[str, ChunkPolicy]],
    camera: str,
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    seeds: Sequence[int] = EVALUATION_SEEDS,
    duration_s: float = EVALUATION_S,
    delay: int = EVALUATION_DELAY,
    instruction: str = INSTRUCTION,
    report: Callable[[str], None] | None = None,
) -> Evaluation:
    """Run every policy under every condition with both instructions on every path.

    Args:
        spec: The robot.
        policies: Labels and policies.
        camera: Their camera.
        conditions: What to evaluate under.
        seeds: Of the paths and disturbances.
        duration_s: Length of a run, [s].
        delay: d, in ticks.
        instruction: What the policies are told; `{block}` stands for the colour.
        report: Called with a line of progress now and then.
    """
    ticks = round(duration_s * spec.action_hz)
    trials: list[Trial] = []
    referenced: set[bool] = set()
    renderer = CameraRenderer(Twin(spec).model, camera)
    adapter = JointAdapter(spec)
    for condition in conditions:
        for seed in seeds:
            twin = Twin(spec, seed)
            for block in BLOCKS:
                named = condition.named(block, ticks)
                if condition.switch not in referenced:
                    trials += _references(twin, condition, block, seed, named)
                for label, policy in policies:
                    view = condition.disturbance(seed) if condition.disturbance is not None else None
                    texts = [instruction.format(block=name) for name in named]
                    result = ClosedLoop(twin, (camera, renderer), adapter, policy).run(texts, delay, view)
                    step = result.max_command_step
                    trials.append(Trial(label, condition.name, block, seed, result.score, step))
            if report is not None:
                report(f"evaluation: {condition.name}, paths {seed}")
        referenced.add(condition.switch)
    renderer.close()
    return Evaluation(trials)


def _references(twin: Twin, condition: Condition, block: Block, seed: int, named: Sequence[Block]) -> list[Trial]:
    index = np.array([BLOCKS.index(name) for name in named])
    rest = twin.spec.rest
    return [
        Trial(EXPERT, condition.name, block, seed, expert_score(twin, index, rest)),
        Trial(NO_MOTION, condition.name, block, seed, no_motion_score(twin, index, rest)),
    ]


def _signed(difference: tuple[float, float], digits: int) -> str:
    return f"{difference[0]:+.{digits}f} +- {difference[1]:.{digits}f}"
