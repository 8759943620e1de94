"""Where a voided trial is done again: at a random place among those that are still to come."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from unichunk.server.evaluation.ledger.entry import Redo
from unichunk.server.evaluation.ledger.trial import TrialState
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.planning.keys import trial_id
from unichunk.server.evaluation.planning.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from unichunk.server.evaluation.ledger.trial import Trial


def redo_of(voided: Trial, trials: Iterable[Trial], *, method: Randomization, id_key: bytes, redo_key: bytes) -> Redo:
    """Where, and under which id, a trial is done again.

    A function of the keys and of what is planned at this moment: nobody can try again until the place suits them, and
    whoever has the seed in the end can check it. At least one other trial comes in between wherever one is left:
    else the operator would know which one it is. Where layouts are grouped, the place follows a later trial of the same
    layout where there is one, which costs no reset; otherwise it is at the end.

    Args:
        voided: The trial that is voided now.
        trials: All trials of the campaign, in any order; the voided one may be among them.
        method: How the campaign is randomized.
        id_key: Of the campaign.
        redo_key: Of the campaign.

    Returns:
        A place after the voided trial's, which no other trial has.
    """
    trials = list(trials)
    taken = sorted({trial.position for trial in trials} | {voided.position})
    later = sorted(
        trial.position
        for trial in trials
        if trial.state is TrialState.PLANNED
        and trial.position > voided.position
        and (method is not Randomization.LAYOUT_GROUPED or trial.layout == voided.layout)
    )
    position = taken[-1] + 1.0
    if later:
        after = Stream(redo_key, f"redo {voided.id}").choice(later)
        position = _between(after, taken)
    return Redo(trial=trial_id(id_key, voided.slot, voided.attempt + 1), position=position)


def _between(after: float, taken: Sequence[float]) -> float:
    """The middle of the first gap after a place; gaps that floating point cannot halve any more are passed by."""
    for low, high in itertools.pairwise(taken):
        middle = (low + high) / 2
        if low >= after and low < middle < high:
            return middle
    return taken[-1] + 1.0
