"""Looking at the sequential test while the campaign is sealed: the seal is opened in memory, and only for that test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.server.evaluation.errors import NotNow
from unichunk.server.evaluation.ledger.actor import Actor
from unichunk.server.evaluation.ledger.commands import Looked
from unichunk.server.evaluation.planning.commitment import schedule_of
from unichunk.server.evaluation.planning.load import load_secrets
from unichunk.server.evaluation.planning.opening import open_sealed
from unichunk.server.evaluation.statistics.pairs import declared_pairs, sequential_tests
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.results import entries_of, scored_of
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.results import ScoredTrial


@dataclass(frozen=True)
class SeenPair:
    """What is shown of a declared pair: neither who is ahead, nor any rate or count.

    Attributes:
        first: Name of a policy.
        second: Name of the other one.
        e_value: Now.
        largest: Of all moments so far; it is what is compared with the threshold.
        threshold: What it has to reach: 1 / alpha, times the number of pairs that Holm's correction still counts.
        crossed: Whether it has.
    """

    first: str
    second: str
    e_value: float
    largest: float
    threshold: float
    crossed: bool


@dataclass(frozen=True)
class Look:
    """One look at a campaign.

    Attributes:
        campaign: Its name.
        scored: Trials with a score.
        total: How many complete the plan.
        alpha: Level of the family of declared pairs.
        number: Of this look, from 1.
        pairs: As declared.
    """

    campaign: str
    scored: int
    total: int
    alpha: float
    number: int
    pairs: tuple[SeenPair, ...]


def look(folder: Path, admin_key: Path, *, by: str = "admin") -> Look:
    """Look at the sequential test of a sealed campaign; the log says so before anything is computed.

    The log cannot know of looks at copies: whoever has the key and a copy of the folder sees everything.

    Args:
        folder: Of the campaign; its service does not run.
        admin_key: File of the private key.
        by: Who looks, for the log.

    Raises:
        NotNow: Where the plan declared no sequential test, or the campaign was opened.
        PrivateFileError, Sealed: Where the key cannot be read, or is another one.
        Tampered: Where the records contradict each other or the commitment.
        StoreUnavailable: Where the service runs, or the log cannot be written.
    """
    opening = open_sealed(folder, admin_key)
    store = EvaluationStore.open(folder, load_secrets(folder))
    try:
        book, plan = store.book, store.plan
        if book.opened:
            raise NotNow(f"{folder}: was opened: `unichunk eval report` shows everything")
        store.apply(Actor(by, Role.ADMIN), Looked(scored=len(book.judged)), f"looked/{store.head().seq}")
        looks = sum(isinstance(entry.command, Looked) for entry in entries_of(store))
    finally:
        store.close()
    names = [policy.name for policy in plan.campaign.policies]
    trials = scored_of(book, dict(enumerate(names[policy] for policy in schedule_of(plan, opening))))
    return Look(
        campaign=plan.campaign.name,
        scored=len(trials),
        total=len(plan.slots),
        alpha=plan.campaign.analysis.alpha,
        number=looks,
        pairs=seen_pairs(plan.campaign, trials),
    )


def look_lines(seen: Look) -> list[str]:
    """The same for people."""
    width = max(len(_name(pair)) for pair in seen.pairs)
    lines = [
        f"{seen.campaign}: {seen.scored} of {seen.total} trials scored; look {seen.number}, recorded in the log",
        f"sequential test, level {seen.alpha:g} for all declared pairs together (Holm):",
    ]
    for pair in seen.pairs:
        state = "crossed: they differ" if pair.crossed else "not crossed"
        lines.append(
            f"  {_name(pair):{width}}  e-value {pair.e_value:.3g}, largest {pair.largest:.3g}, "
            f"threshold {pair.threshold:.3g}: {state}"
        )
    return [*lines, "to end here: unichunk eval unblind --end-early REASON; the fixed-sample tests need the whole plan"]


def _name(pair: SeenPair) -> str:
    return f"{pair.first} against {pair.second}"


def seen_pairs(campaign: Campaign, trials: Sequence[ScoredTrial]) -> tuple[SeenPair, ...]:
    """What is shown of the declared pairs, in their order.

    Args:
        campaign: Says which, and at what level.
        trials: Scored.
    """
    tests = sequential_tests(campaign, trials)
    ranks = {place: rank for rank, place in enumerate(sorted(range(len(tests)), key=lambda place: tests[place].p))}
    # Holm: the largest of m needs m / alpha, the next one (m - 1) / alpha, and so on until one does not reach it.
    crossed = sum(test.rejects for test in tests)
    return tuple(
        SeenPair(
            first=first,
            second=second,
            e_value=test.e_value,
            largest=test.largest,
            threshold=(len(tests) - min(ranks[place], crossed)) / campaign.analysis.alpha,
            crossed=test.rejects,
        )
        for place, ((first, second), test) in enumerate(zip(declared_pairs(campaign), tests, strict=True))
    )
