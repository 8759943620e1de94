"""How far operators and second raters agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.server.evaluation.statistics.document import Agreement, Interval
from unichunk.server.evaluation.statistics.krippendorff import krippendorff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.server.evaluation.planning.campaign import Task
    from unichunk.server.evaluation.results import ScoredTrial, SecondScore


def agreements(
    trials: Sequence[ScoredTrial], seconds: Sequence[SecondScore], tasks: Sequence[Task], confidence: float
) -> tuple[Agreement, ...]:
    """Agreement about success on all tasks, and about every sub-task; empty where nobody scored twice.

    Args:
        trials: With the operators' scores.
        seconds: Of the raters.
        tasks: With their rubrics.
        confidence: Level of the intervals of kappa.
    """
    if not seconds:
        return ()
    found = [_agreement("success", "", trials, seconds, lambda score: score.success, confidence)]
    for task in tasks:
        of_task = [trial for trial in trials if trial.task == task.name]
        for index, item in enumerate(task.rubric):
            found.append(_agreement(item, task.name, of_task, seconds, _item(index), confidence))
    return tuple(found)


def _item(index: int) -> Callable[[ScoredTrial | SecondScore], bool | None]:
    return lambda score: score.rubric[index] if index < len(score.rubric) else None


def _agreement(
    item: str,
    task: str,
    trials: Sequence[ScoredTrial],
    seconds: Sequence[SecondScore],
    judge: Callable[[ScoredTrial | SecondScore], bool | None],
    confidence: float,
) -> Agreement:
    table = np.zeros((2, 2), dtype=np.int64)
    units: dict[str, list[bool]] = {}
    raters: set[str] = set()
    by_id = {trial.trial: trial for trial in trials}
    for second in seconds:
        trial = by_id.get(second.trial)
        ours, theirs = (judge(trial), judge(second)) if trial is not None else (None, None)
        if trial is None or ours is None or theirs is None:
            continue
        table[int(not ours), int(not theirs)] += 1
        units.setdefault(second.trial, [ours]).append(theirs)
        raters |= {trial.operator, second.rater}
    judged = int(table.sum())
    kappa, interval, note = cohen(table, confidence)
    return Agreement(
        item=item,
        task=task,
        judged=judged,
        both_yes=int(table[0, 0]),
        operator_only=int(table[0, 1]),
        rater_only=int(table[1, 0]),
        both_no=int(table[1, 1]),
        raw=float(np.trace(table)) / judged if judged else None,
        kappa=kappa,
        interval=interval,
        raters=len(raters),
        krippendorff=krippendorff(units.values()),
        note=note,
    )


def cohen(
    table: np.ndarray[tuple[int, ...], np.dtype[np.int64]], confidence: float
) -> tuple[float | None, Interval | None, str]:
    """Cohen's kappa (1960) with its interval (Fleiss, Cohen & Everitt 1969), and why something is missing.

    Args:
        table: Judgements of one by those of the other, shape (n, n).
        confidence: Level of the interval.
    """
    judged = int(table.sum())
    if judged == 0:
        return None, None, "nothing was judged twice"
    if int(table.sum(axis=0) @ table.sum(axis=1)) == judged**2:
        return None, None, "kappa is not defined: all judgements are the same"
    if 1 in {np.count_nonzero(table.sum(axis=0)), np.count_nonzero(table.sum(axis=1))}:
        return 0.0, None, "kappa is 0 and says nothing: one of the two judged everything the same"
    # Only here: it imports pandas.
    from scipy.special import ndtri  # noqa: PLC0415
    from statsmodels.stats.inter_rater import cohens_kappa  # noqa: PLC0415

    result = cohens_kappa(table)
    kappa, error = float(result.kappa), float(ndtri(0.5 + 0.5 * confidence)) * max(0.0, float(result.var_kappa)) ** 0.5
    return kappa, Interval(low=max(-1.0, kappa - error), high=min(1.0, kappa + error)), ""
