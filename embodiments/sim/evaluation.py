"""How well policies follow the named block, in virtual time: under several conditions, with all instructions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.closed_loop import ClosedLoop
from unichunk.embodiments.sim.conditions import CONDITIONS
from unichunk.embodiments.sim.follow_score import Told
from unichunk.embodiments.sim.hands import POSTURES
from unichunk.embodiments.sim.instruction import INSTRUCTIONS, Asked
from unichunk.embodiments.sim.intervals import mean_and_error, wilson
from unichunk.embodiments.sim.reference import expert_score, no_motion_score
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.conditions import Condition
    from unichunk.embodiments.sim.follow_score import FollowScore
    from unichunk.embodiments.sim.hands import Posture
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy

EVALUATION_SEEDS: Final = (101, 102, 103, 104, 105, 106)
"""Paths that no demonstration has."""

EVALUATION_S: Final = 20.0
EVALUATION_DELAY: Final = 4

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
        posture: Which it asked for.
        seed: Of the paths and of the disturbance.
        score: How it went.
        max_command_step: Largest change of a joint between consecutive commands, [rad]; 0 for references.
    """

    label: str
    condition: str
    block: Block
    posture: Posture
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

    def rows(self) -> list[dict[str, Any]]:
        """One row for each condition and label: success with its 95 % interval, means with standard errors.

        Lengths are in mm, the error of the posture as a fraction of the way from open to closed.
        """
        return [self._row(condition, label) for condition, label in self._groups()]

    def table(self) -> str:
        """One Markdown row for each condition and label: success with its 95 % interval, means with standard errors."""
        lines = [
            "| condition | policy | success (95 % Wilson) | near | on target | error [mm] | "
            "error to the other block [mm] | posture error [%] | largest command step [rad] |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_markdown(row) for row in self.rows()]
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
        ours, others = (self.by_path(condition, one, value) for one in (label, base))
        return mean_and_error([ours[seed] - others[seed] for seed in ours])

    def by_path(self, condition: str, label: str, value: Callable[[FollowScore], float]) -> dict[int, float]:
        """Means over the runs of a policy under a condition that have the same paths, by the paths' seed."""
        by_seed: dict[int, list[float]] = {}
        for trial in self._of(condition, label):
            by_seed.setdefault(trial.seed, []).append(value(trial.score))
        return {seed: float(np.mean(values)) for seed, values in by_seed.items()}

    def _groups(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((trial.condition, trial.label) for trial in self.trials))

    def _of(self, condition: str, label: str) -> list[Trial]:
        return [trial for trial in self.trials if (trial.condition, trial.label) == (condition, label)]

    def _row(self, condition: str, label: str) -> dict[str, Any]:
        trials = self._of(condition, label)
        scores = [trial.score for trial in trials]
        successes = sum(score.success for score in scores)
        low, high = wilson(successes, len(scores))
        row: dict[str, Any] = {
            "condition": condition,
            "policy": label,
            "episodes": len(scores),
            "successes": successes,
            "success": successes / len(scores),
            "low": low,
            "high": high,
            "near": float(np.mean([score.near for score in scores])),
            "on_target": float(np.mean([score.on_target for score in scores])),
            "max_command_step": max(trial.max_command_step for trial in trials),
        }
        for name, values in (
            ("error_mm", [1e3 * score.error for score in scores]),
            ("other_error_mm", [1e3 * score.other_error for score in scores]),
            ("posture_error", [score.posture_error for score in scores]),
        ):
            row[name], row[f"{name}_standard_error"] = mean_and_error(values)
        return row


def evaluate(
    spec: EmbodimentSpec,
    policies: Sequence[tuple[str, ChunkPolicy, Adapter]],
    camera: str,
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    postures: Sequence[Posture] = POSTURES,
    seeds: Sequence[int] = EVALUATION_SEEDS,
    duration_s: float = EVALUATION_S,
    delay: int = EVALUATION_DELAY,
    report: Callable[[str], None] | None = None,
) -> Evaluation:
    """Run every policy under every condition with every instruction on every path.

    Args:
        spec: The robot.
        policies: Labels, policies, and what is between them and the robot.
        camera: Their camera.
        conditions: What to evaluate under.
        postures: Which are asked for, of both blocks; only the first under all but the first condition.
        seeds: Of the paths and disturbances.
        duration_s: Length of a run, [s].
        delay: d, in ticks.
        report: Called with a line of progress now and then.
    """
    ticks = round(duration_s * spec.action_hz)
    trials: list[Trial] = []
    referenced: set[bool] = set()
    renderer = CameraRenderer(Twin(spec).model, camera)
    for condition in conditions:
        for seed in seeds:
            twin = Twin(spec, seed)
            for asked in _asked(postures if condition is conditions[0] else postures[:1]):
                every = [Asked(block, asked.posture) for block in condition.named(asked.block, ticks)]
                if condition.switch not in referenced:
                    trials += _references(twin, condition.name, asked, seed, Told.of(every))
                texts = [INSTRUCTIONS[one.posture].format(block=one.block) for one in every]
                for label, policy, adapter in policies:
                    view = condition.disturbance(seed) if condition.disturbance is not None else None
                    result = ClosedLoop(twin, (camera, renderer), adapter, policy).run(texts, delay, view)
                    run = (label, condition.name, asked.block, asked.posture, seed)
                    trials.append(Trial(*run, result.score, result.max_command_step))
            if report is not None:
                report(f"evaluation: {spec.name}, {condition.name}, paths {seed}")
        referenced.add(condition.switch)
    renderer.close()
    return Evaluation(trials)


def _asked(postures: Sequence[Posture]) -> list[Asked]:
    return [Asked(block, posture) for posture in postures for block in BLOCKS]


def _references(twin: Twin, condition: str, asked: Asked, seed: int, told: Told) -> list[Trial]:
    run = (condition, asked.block, asked.posture, seed)
    rest = twin.spec.rest
    return [
        Trial(EXPERT, *run, expert_score(twin, told, rest)),
        Trial(NO_MOTION, *run, no_motion_score(twin, told, rest)),
    ]


def _signed(difference: tuple[float, float], digits: int) -> str:
    return f"{difference[0]:+.{digits}f} +- {difference[1]:.{digits}f}"


def _markdown(row: dict[str, Any]) -> str:
    error, other, posture = (
        f"{scale * row[name]:.1f} +- {scale * row[f'{name}_standard_error']:.1f}"
        for name, scale in (("error_mm", 1), ("other_error_mm", 1), ("posture_error", 100))
    )
    step = row["max_command_step"]
    cells = (
        row["condition"],
        row["policy"],
        f"{row['successes']}/{row['episodes']} ({row['low']:.2f} to {row['high']:.2f})",
        f"{row['near']:.2f}",
        f"{row['on_target']:.2f}",
        error,
        other,
        posture,
        f"{step:.4f}" if step else "-",
    )
    return "| " + " | ".join(cells) + " |"
