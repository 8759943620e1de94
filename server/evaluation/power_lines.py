"""What a campaign can be expected to find, in a few lines for whoever is about to freeze it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.statistics.pairs import declared_pairs
from unichunk.server.evaluation.statistics.power import describe, plan_power, rates_of, smallest_per_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.planning.campaign import Campaign

BASE: Final = 0.5
"""Success rate of the others where no rates are assumed: there chance hides the most."""

LEADS: Final = (0.1, 0.2, 0.3, 0.4)
"""By how much one policy is better, where no rates are assumed."""

SIMULATIONS: Final = 2000


def pairs_of(campaign: Campaign) -> list[tuple[int, int]]:
    """The pairs that a campaign compares, by the policies' numbers."""
    names = [policy.name for policy in campaign.policies]
    return [(names.index(first), names.index(second)) for first, second in declared_pairs(campaign)]


def leads_lines(campaign: Campaign) -> list[str]:
    """The chance that one policy which is better than the others by so much is told apart from each of them.

    Args:
        campaign: Says K, the layouts, the pairs and the level.
    """
    policies, pairs = len(campaign.policies), pairs_of(campaign)
    alpha, per_cell = campaign.analysis.alpha, campaign.trials_per_cell
    best = policies - 1
    lines = [
        f"power at K = {per_cell} on {len(campaign.layouts)} layout{'s' if len(campaign.layouts) > 1 else ''}, level "
        f"{alpha:g}, {len(pairs)} pair{'s' if len(pairs) > 1 else ''} (Holm), the others at {BASE:.0%}:"
    ]
    for lead in LEADS:
        rates = rates_of([*[BASE] * best, BASE + lead], len(campaign.layouts))
        power = plan_power(rates, per_cell, alpha=alpha, pairs=pairs, simulations=SIMULATIONS)
        chance = min(pair.primary for pair in power.pairs if best in {pair.first, pair.second})
        lines.append(f"  one policy at {BASE + lead:.0%}: told apart from another one with probability {chance:.2f}")
    return lines


def rates_lines(
    policies: Sequence[str],
    rates: Sequence[float],
    *,
    layouts: int,
    per_cell: int,
    alpha: float,
    pairs: Sequence[tuple[int, int]] | None,
    spread: float,
    wanted: float,
) -> list[str]:
    """What is to be expected with assumed success rates, and the K that is enough.

    Args:
        policies: Names.
        rates: Their success rates on a layout of middle difficulty.
        layouts: How many.
        per_cell: K.
        alpha: Level.
        pairs: Which are compared, by number; None: all.
        spread: Difference of log-odds between the easiest and the hardest layout.
        wanted: The power that K has to reach for each pair whose rates differ.
    """
    table = rates_of(rates, layouts, spread)
    lines = describe(plan_power(table, per_cell, alpha=alpha, pairs=pairs), policies)
    enough = smallest_per_cell(table, wanted, alpha=alpha, pairs=pairs)
    if enough is None:
        lines.append(f"power {wanted:g} for every pair that differs: no K does")
    else:
        total = enough * layouts * len(policies)
        lines.append(f"power {wanted:g} for every pair that differs: K = {enough}, {total} trials")
    return lines
