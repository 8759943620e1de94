"""All comparisons of the declared pairs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.statistics.document import PairComparison, SensitivityPair
from unichunk.server.evaluation.statistics.exact_pairs import barnard, fisher
from unichunk.server.evaluation.statistics.holm import decided, holm
from unichunk.server.evaluation.statistics.intervals import difference_of, rate_of
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh, exact_stratified
from unichunk.server.evaluation.statistics.odds_ratio import common_odds_ratio
from unichunk.server.evaluation.statistics.posterior import probability_better
from unichunk.server.evaluation.statistics.rerandomization import randomization_test
from unichunk.server.evaluation.statistics.sequential import sequential_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.results import ScoredTrial
    from unichunk.server.evaluation.statistics.counts import Counts
    from unichunk.server.evaluation.statistics.document import Sequential


def declared_pairs(campaign: Campaign) -> tuple[tuple[str, str], ...]:
    """Which pairs the plan declared: all, or each policy with the baseline, which is the second of the pair."""
    names = [policy.name for policy in campaign.policies]
    if campaign.analysis.pairs == "all":
        return tuple(itertools.combinations(names, 2))
    baseline = campaign.analysis.baseline or names[0]
    return tuple((name, baseline) for name in names if name != baseline)


def compare_pairs(campaign: Campaign, counts: Counts, trials: Sequence[ScoredTrial]) -> tuple[PairComparison, ...]:
    """Every test and interval of every declared pair; each kind of test is a family of its own for Holm's correction.

    Args:
        campaign: Says which pairs, levels, and whether the sequential test is wanted.
        counts: Of all policies.
        trials: Scored, for the tests that need their order.
    """
    alpha, confidence = campaign.analysis.alpha, campaign.analysis.confidence
    pairs = declared_pairs(campaign)
    tables = [counts.of(*pair) for pair in pairs]
    pooled = [(table.pooled(first), table.pooled(second)) for table, (first, second) in zip(tables, pairs, strict=True)]
    cmhs = decided([cmh(table) for table in tables], alpha)
    redrawn = decided([randomization_test(campaign, trials, pair, len(pairs)) for pair in pairs], alpha)
    exacts = decided([exact_stratified(table) for table in tables], alpha)
    barnards = decided([barnard(*rates) for rates in pooled], alpha)
    fishers = decided([fisher(*rates) for rates in pooled], alpha)
    wanted = campaign.analysis.sequential
    sequentials = sequential_tests(campaign, trials) if wanted else (None,) * len(pairs)
    return tuple(
        PairComparison(
            first=pair[0],
            second=pair[1],
            declared=True,
            first_success=rate_of(*pooled[index][0], confidence),
            second_success=rate_of(*pooled[index][1], confidence),
            difference=difference_of(*pooled[index], confidence),
            odds_ratio=common_odds_ratio(tables[index], confidence, alpha),
            cmh=cmhs[index],
            randomization=redrawn[index],
            exact=exacts[index],
            barnard=barnards[index],
            fisher=fishers[index],
            sequential=sequentials[index],
            first_better=probability_better(*pooled[index]),
        )
        for index, pair in enumerate(pairs)
    )


def primary_pairs(campaign: Campaign, counts: Counts) -> tuple[SensitivityPair, ...]:
    """Only the primary test and the difference of every declared pair, for other readings of the data."""
    pairs = declared_pairs(campaign)
    tables = [counts.of(*pair) for pair in pairs]
    tests = decided([cmh(table) for table in tables], campaign.analysis.alpha)
    return tuple(
        SensitivityPair(
            first=first,
            second=second,
            difference=difference_of(table.pooled(first), table.pooled(second), campaign.analysis.confidence),
            cmh=test,
        )
        for (first, second), table, test in zip(pairs, tables, tests, strict=True)
    )


def sequential_tests(campaign: Campaign, trials: Sequence[ScoredTrial]) -> tuple[Sequential, ...]:
    """The anytime-valid test of every declared pair, with Holm's correction; of what is scored so far.

    Args:
        campaign: Says which pairs, and the level.
        trials: Scored.
    """
    tests = [sequential_test(campaign, trials, *pair) for pair in declared_pairs(campaign)]
    adjusted = holm([test.p for test in tests])
    return tuple(
        msgspec.structs.replace(test, adjusted=p, rejects=p is not None and p <= campaign.analysis.alpha)
        for test, p in zip(tests, adjusted, strict=True)
    )
