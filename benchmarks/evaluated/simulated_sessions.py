"""Many simulated sessions at once: schedules as they are planned, outcomes as they are assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.planning.randomization import draw_schedule
from unichunk.server.evaluation.planning.stream import Stream
from unichunk.server.evaluation.statistics.matched_pairs import log_e_value

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Randomization

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ONE_AFTER_ANOTHER: Final = "one policy after another"


@dataclass(frozen=True)
class Schedules:
    """Orders of trials of S sessions.

    Attributes:
        policy: Index of the policy of each trial in time, shape (S, T).
        layout: Index of the layout, shape (S, T).
        when: When the r-th trial of each cell is, shape (S, P, L, K).
    """

    policy: Ints
    layout: Ints
    when: Ints


def drawn(method: Randomization, policies: int, layouts: int, per_cell: int, sessions: int) -> Schedules:
    """Schedules as a plan draws them, each from a seed of its own."""
    cells = np.empty((sessions, policies * layouts * per_cell, 2), dtype=np.int64)
    for session in range(sessions):
        stream = Stream(session.to_bytes(32, "big"), "operating characteristics")
        schedule = draw_schedule(method, layouts, policies, per_cell, stream)
        cells[session] = [(cell.policy, cell.layout) for cell in schedule]
    return _schedules(cells[:, :, 0], cells[:, :, 1], policies, layouts)


def one_after_another(policies: int, layouts: int, per_cell: int, sessions: int, seed: int) -> Schedules:
    """All trials of the first policy, then all of the second one, and so on; layouts in random order within each."""
    random = np.random.default_rng(seed)
    of_policy = np.tile(np.repeat(np.arange(layouts), per_cell), (sessions * policies, 1))
    layout = random.permuted(of_policy, axis=1).reshape(sessions, -1)
    policy = np.tile(np.repeat(np.arange(policies), layouts * per_cell), (sessions, 1))
    return _schedules(policy, layout, policies, layouts)


def drifting(schedules: Schedules, first: float, last: float, seed: int, shift: Floats | None = None) -> Bools:
    """Outcomes that do not depend on the policy; success drifts linearly over the session.

    Args:
        schedules: S of them.
        first: Success rate at the first trial.
        last: At the last one.
        seed: Of the outcomes.
        shift: Added to the log-odds on each layout, shape (L,); None: nothing.

    Returns:
        Shape (S, T).
    """
    rates = np.linspace(first, last, schedules.policy.shape[1])
    if shift is None:
        chances = np.broadcast_to(rates, schedules.policy.shape)
    else:
        odds = np.log(rates) - np.log1p(-rates)
        chances = 1.0 / (1.0 + np.exp(-(odds + shift[schedules.layout])))
    return np.asarray(np.random.default_rng(seed).random(schedules.policy.shape) < chances)


def by_cell(schedules: Schedules, outcomes: Bools) -> Bools:
    """Outcomes of the r-th trial of each cell, shape (S, P, L, K)."""
    flat = schedules.when.reshape(len(outcomes), -1)
    return np.take_along_axis(outcomes, flat, axis=1).reshape(schedules.when.shape)


def matched_evidence(schedules: Schedules, outcomes: Bools, first: int, second: int) -> Floats:
    """Largest log e-value of matched pairs over each session, shape (S,), at least 0."""
    cells = by_cell(schedules, outcomes)
    sessions = len(outcomes)
    settled = np.maximum(schedules.when[:, first], schedules.when[:, second]).reshape(sessions, -1)
    order = np.argsort(settled, axis=1)
    difference = cells[:, first].astype(np.int64) - cells[:, second]
    difference = np.take_along_axis(difference.reshape(sessions, -1), order, axis=1)
    return largest_evidence(difference)


def largest_evidence(differences: Ints) -> Floats:
    """Largest log e-value of pairs with these differences in time, shape (S, pairs) to (S,), at least 0."""
    wins, losses = np.cumsum(differences > 0, axis=1), np.cumsum(differences < 0, axis=1)
    course = log_e_value(wins.astype(np.int64), losses.astype(np.int64))
    return np.asarray(course.max(axis=1, initial=0.0), dtype=np.float64)


def labelled_evidence(schedules: Schedules, outcomes: Bools, first: int, second: int) -> Floats:
    """Largest log e-value of fair labels over each session, shape (S,), at least 0."""
    sessions, trials = outcomes.shape
    fair = np.zeros((sessions, trials), dtype=np.bool_)
    rows = np.arange(sessions)[:, None, None]
    for one, other in ((first, second), (second, first)):
        # Open for both until the other policy's last trial on the layout.
        open_for_both = schedules.when[:, one] < schedules.when[:, other].max(axis=-1, keepdims=True)
        fair[rows, schedules.when[:, one]] = open_for_both
    is_first = schedules.policy == first
    evidence = np.zeros((sessions, trials))
    for came_out in (outcomes, ~outcomes):
        wins = np.cumsum(fair & is_first & came_out, axis=1, dtype=np.int64)
        losses = np.cumsum(fair & ~is_first & came_out, axis=1, dtype=np.int64)
        evidence += log_e_value(wins, losses)
    return np.asarray(evidence.max(axis=1, initial=0.0), dtype=np.float64)


def _schedules(policy: Ints, layout: Ints, policies: int, layouts: int) -> Schedules:
    when = np.argsort(policy * layouts + layout, axis=1, kind="stable")
    return Schedules(policy, layout, when.reshape(len(policy), policies, layouts, -1))
