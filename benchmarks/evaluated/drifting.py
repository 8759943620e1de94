"""Type-I errors where success drifts from .8 to .3 over the session and policies make no difference."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.evaluated import simulated_sessions
from unichunk.benchmarks.evaluated.operating_row import OperatingRow, simulated_row
from unichunk.server.evaluation.planning.campaign import Campaign, Layout, PolicyEntry, Randomization, Task
from unichunk.server.evaluation.results import ScoredTrial
from unichunk.server.evaluation.statistics.all_tables import fisher_table
from unichunk.server.evaluation.statistics.barnard import barnard_table
from unichunk.server.evaluation.statistics.holm_many import holm_rejects
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh_p
from unichunk.server.evaluation.statistics.rerandomization import randomization_test

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.benchmarks.evaluated.simulated_sessions import Bools, Floats, Ints, Schedules

SECTION: Final = "drift"
ALPHA: Final = 0.05
POLICIES: Final = 4
PER_CELL: Final = 20
FIRST, LAST = 0.8, 0.3
FEWEST: Final = 100
SPREAD: Final = 2.0
"""Difference of log-odds between the easiest and the hardest layout, where there are several."""

PEERS: Final = {
    simulated_sessions.ONE_AFTER_ANOTHER: 0.56,
    Randomization.INDEPENDENT_DRAW.value: 0.03,
    Randomization.REPLICATE_BLOCKS.value: 0.017,
}
"""Simulated by others for four policies of 20 trials each."""


def drift(sessions: int) -> Iterator[OperatingRow]:
    """Every way to put trials in order, on one layout and on five."""
    for layouts in (1, 5):
        yield from _of_order(simulated_sessions.ONE_AFTER_ANOTHER, None, layouts, sessions)
        for method in Randomization:
            if layouts > 1 or method is not Randomization.LAYOUT_GROUPED:
                yield from _of_order(method.value, method, layouts, sessions)


def _of_order(name: str, method: Randomization | None, layouts: int, sessions: int) -> Iterator[OperatingRow]:
    if method is None:
        schedules = simulated_sessions.one_after_another(POLICIES, layouts, PER_CELL, sessions, seed=layouts)
    else:
        schedules = simulated_sessions.drawn(method, POLICIES, layouts, PER_CELL, sessions)
    shift = np.linspace(-0.5, 0.5, layouts) * SPREAD if layouts > 1 else None
    outcomes = simulated_sessions.drifting(schedules, FIRST, LAST, seed=layouts + 10, shift=shift)
    case = f"success drifts .8 to .3, {POLICIES} policies, {layouts} layout{'s' if layouts > 1 else ''}, {name}"
    per_arm = layouts * PER_CELL
    if layouts == 1 and method is not None:
        few = slice(0, max(FEWEST, sessions // 4))
        rejected = _redrawn(method, schedules.policy[few], outcomes[few])
        yield simulated_row(SECTION, case, "randomization test, 4 policies", per_arm, ALPHA, rejected)
    for test, rejected in _tests(schedules, outcomes, per_arm, matched=method is not Randomization.INDEPENDENT_DRAW):
        first = layouts == 1 and test.startswith("Cochran-Mantel-Haenszel, 4")
        yield simulated_row(
            SECTION,
            case,
            test,
            per_arm,
            None if method is None else ALPHA,
            rejected,
            peers=PEERS.get(name) if first else None,
            remark=_remark(method, test),
        )


def _tests(schedules: Schedules, outcomes: Bools, per_arm: int, *, matched: bool) -> Iterator[tuple[str, Bools]]:
    successes = simulated_sessions.by_cell(schedules, outcomes).sum(axis=-1)
    trials = np.full(successes.shape[1:], PER_CELL)
    pairs = list(itertools.combinations(range(POLICIES), 2))
    by_pair = np.stack([cmh_p(successes[:, pair], trials[list(pair)]) for pair in map(list, pairs)], axis=-1)
    x, y = successes[:, 0].sum(axis=-1), successes[:, -1].sum(axis=-1)
    anytime = np.exp(-_evidence(schedules, outcomes, pairs, matched=matched))
    yield "Cochran-Mantel-Haenszel, 4 policies", cmh_p(successes, trials) <= ALPHA
    yield "Cochran-Mantel-Haenszel, any of 6 pairs (Holm)", np.asarray(holm_rejects(by_pair, ALPHA).any(axis=1))
    yield "Cochran-Mantel-Haenszel, first against last", by_pair[:, POLICIES - 2] <= ALPHA
    yield "Barnard, first against last", barnard_table(per_arm, per_arm)[x, y] <= ALPHA
    yield "Fisher, first against last", fisher_table(per_arm, per_arm)[x, y] <= ALPHA
    yield "anytime-valid, first against last, at any time", anytime[:, POLICIES - 2] <= ALPHA
    yield "anytime-valid, any of 6 pairs at any time (Holm)", np.asarray(holm_rejects(anytime, ALPHA).any(axis=1))


def _remark(method: Randomization | None, test: str) -> str:
    if method is None:
        return "not randomized: no test is valid"
    if method is Randomization.INDEPENDENT_DRAW and test.startswith("Cochran-Mantel-Haenszel"):
        return "rejects too often: the draw's last trials are left over, neighbours in time"
    return ""


def _redrawn(method: Randomization, policies: Ints, outcomes: Bools) -> Bools:
    """Whether the randomization test rejects in each session; one layout."""
    names = [f"p{index}" for index in range(POLICIES)]
    campaign = Campaign(
        name="drift",
        robot="none",
        policies=tuple(PolicyEntry(name=name, source="none") for name in names),
        tasks=(Task(name="task", instruction="do it", success="done"),),
        layouts=(Layout(name="layout", task="task"),),
        trials_per_cell=PER_CELL,
        randomization=method,
    )
    return np.array(
        [_redrawn_p(campaign, names, *session) <= ALPHA for session in zip(policies, outcomes, strict=True)]
    )


def _redrawn_p(campaign: Campaign, names: list[str], policies: Ints, outcomes: Bools) -> float:
    trials = [
        ScoredTrial("", order, names[policy], "task", "layout", 0, bool(success), (), "", "", 0, 0.0, "", slot=order)
        for order, (policy, success) in enumerate(zip(policies.tolist(), outcomes, strict=True))
    ]
    p = randomization_test(campaign, trials, names).p
    return 1.0 if p is None else p


def _evidence(schedules: Schedules, outcomes: Bools, pairs: list[tuple[int, int]], *, matched: bool) -> Floats:
    evidence = simulated_sessions.matched_evidence if matched else simulated_sessions.labelled_evidence
    return np.stack([evidence(schedules, outcomes, *pair) for pair in pairs], axis=-1)
