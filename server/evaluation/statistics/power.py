"""How many trials a campaign needs: power of its planned tests, before the first trial."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.errors import EvaluationError
from unichunk.server.evaluation.statistics.all_tables import cmh_table, rejection_probability
from unichunk.server.evaluation.statistics.holm_many import holm_rejects
from unichunk.server.evaluation.statistics.mantel_haenszel import cmh_p
from unichunk.server.evaluation.statistics.simulated_power import SEED, pair_p, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIMULATIONS: Final = 4000
LARGEST: Final = 1000
"""Largest K that is looked at, the most that a plan may have."""


class NoSuchRates(EvaluationError, ValueError):
    """Success rates that cannot be planned with."""


class PairPower(msgspec.Struct, frozen=True, kw_only=True):
    """Chance to tell two policies apart.

    Attributes:
        first: Index of a policy.
        second: Index of another one.
        primary: By the Cochran-Mantel-Haenszel test, after Holm over the declared pairs.
        anytime: By the sequential test at any time until the end, after Holm, if trials are matched in pairs.
        stops_after: After so many trials of the pair the sequential test has decided half of the campaigns (without
            Holm); None where it never does.
    """

    first: int
    second: int
    primary: float
    anytime: float
    stops_after: int | None


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan can be expected to find, if the assumed rates are true.

    Attributes:
        per_cell: K.
        trials: Of the whole campaign.
        alpha: Level.
        rates: Assumed, policies x layouts.
        omnibus: Chance that the test over all policies rejects.
        pairs: The declared ones.
        standard_error: Largest one of these chances by simulation; the primary ones are exact where `exact`.
        exact: Whether the primary test's power was computed by enumeration (two policies, one layout).
    """

    per_cell: int
    trials: int
    alpha: float
    rates: tuple[tuple[float, ...], ...]
    omnibus: float
    pairs: tuple[PairPower, ...]
    standard_error: float
    exact: bool


def rates_of(policies: Sequence[float], layouts: int, spread: float = 0.0) -> tuple[tuple[float, ...], ...]:
    """Success rates on layouts of different difficulty, with one odds ratio between two policies on all of them.

    Args:
        policies: Success rate of each policy on a layout of middle difficulty.
        layouts: L.
        spread: Difference of log-odds between the easiest and the hardest layout; layouts are evenly spaced.

    Returns:
        Policies x layouts.
    """
    rates = np.asarray(policies, dtype=np.float64)
    if layouts < 1 or rates.size < 2 or not np.all((rates >= 0) & (rates <= 1)):
        given = ", ".join(f"{rate:g}" for rate in rates)
        raise NoSuchRates(f"rates {given} on {layouts} layouts: expected at least two rates in [0, 1] and a layout")
    shift = np.linspace(-0.5, 0.5, layouts) * spread if layouts > 1 else np.zeros(1)
    with np.errstate(divide="ignore"):
        odds = np.log(rates) - np.log1p(-rates)
    return tuple(tuple(float(rate) for rate in row) for row in 1.0 / (1.0 + np.exp(-(odds[:, None] + shift))))


def plan_power(
    rates: Sequence[Sequence[float]],
    per_cell: int,
    *,
    alpha: float = 0.05,
    pairs: Sequence[tuple[int, int]] | None = None,
    simulations: int = SIMULATIONS,
) -> Power:
    """Power of the primary tests, and of the sequential one, by simulation with a fixed seed.

    Args:
        rates: Assumed success rates, policies x layouts; `rates_of` makes them.
        per_cell: K.
        alpha: Level.
        pairs: Declared ones, by index; None: all.
        simulations: Campaigns; the standard error of a power is at most 0.5 / sqrt of it.
    """
    table = np.asarray(rates, dtype=np.float64)
    declared = list(itertools.combinations(range(len(table)), 2)) if pairs is None else list(pairs)
    sessions = simulate(table, per_cell, declared, alpha, simulations)
    trials = np.full(table.shape, per_cell)
    omnibus = float(np.mean(_at_most(cmh_p(sessions.successes, trials), alpha)))
    primary = holm_rejects(pair_p(sessions.successes, trials, declared), alpha).mean(axis=0)
    anytime = holm_rejects(np.exp(-sessions.largest), alpha).mean(axis=0)
    exact = table.shape == (2, 1)
    if exact:
        chance = rejection_probability(cmh_table(per_cell, per_cell), alpha, table[0, 0], table[1, 0])
        omnibus, primary = chance, np.array([chance])
    estimates = np.concatenate([anytime] if exact else [anytime, primary, [omnibus]])
    return Power(
        per_cell=per_cell,
        trials=per_cell * table.size,
        alpha=alpha,
        rates=tuple(tuple(float(rate) for rate in row) for row in table),
        omnibus=omnibus,
        pairs=tuple(
            PairPower(
                first=i, second=j, primary=float(primary[n]), anytime=float(anytime[n]), stops_after=sessions.stops[n]
            )
            for n, (i, j) in enumerate(declared)
        ),
        standard_error=float(np.sqrt(np.max(estimates * (1.0 - estimates)) / len(sessions.largest))),
        exact=exact,
    )


def smallest_per_cell(
    rates: Sequence[Sequence[float]],
    wanted: float,
    *,
    alpha: float = 0.05,
    pairs: Sequence[tuple[int, int]] | None = None,
    simulations: int = 1000,
    largest: int = LARGEST,
) -> int | None:
    """Smallest K with which every declared pair whose rates differ is told apart by the primary test with this power.

    Args:
        rates: Assumed success rates, policies x layouts.
        wanted: Power, for each pair after Holm.
        alpha: Level.
        pairs: Declared ones, by index; None: all.
        simulations: Campaigns for each K that is looked at.
        largest: Largest K that is looked at.

    Returns:
        K with which it does and K - 1 does not, as exact as the simulation (power of tests of counts goes up and down
        a little with K); None where even the largest does not do, or no declared pair differs.
    """
    table = np.asarray(rates, dtype=np.float64)
    declared = list(itertools.combinations(range(len(table)), 2)) if pairs is None else list(pairs)
    differ = [n for n, (i, j) in enumerate(declared) if np.any(table[i] != table[j])]

    def enough(per_cell: int) -> bool:
        chances = _primary_power(table, per_cell, alpha, declared, simulations)
        return bool(np.all(chances[differ] >= wanted))

    high = 2
    while high < largest and not enough(high):
        high *= 2
    high = min(high, largest)
    if not differ or not enough(high):
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def describe(power: Power, policies: Sequence[str]) -> list[str]:
    """A few lines for people.

    Args:
        power: Of a plan.
        policies: Names, in the order of its rates.
    """
    layouts = len(power.rates[0])
    on = "1 layout" if layouts == 1 else f"{layouts} layouts"
    lines = [
        f"{power.trials} trials: {len(policies)} policies on {on}, K = {power.per_cell} each; level {power.alpha:g}",
        f"over all policies (Cochran-Mantel-Haenszel): power {power.omnibus:.2f}",
    ]
    for pair in power.pairs:
        first, second = (float(np.mean(power.rates[index])) for index in (pair.first, pair.second))
        stops = "" if pair.stops_after is None else f", half of the time after {pair.stops_after} trials of the two"
        lines.append(
            f"{policies[pair.first]} ({first:.2f}) against {policies[pair.second]} ({second:.2f}): "
            f"power {pair.primary:.2f}, anytime-valid {pair.anytime:.2f}{stops}"
        )
    how = "primary test exact, the anytime-valid one" if power.exact else "all"
    lines.append(f"{how} by simulation: standard error at most {power.standard_error:.3f}")
    return lines


def _primary_power(
    table: Floats, per_cell: int, alpha: float, declared: Sequence[tuple[int, int]], simulations: int
) -> Floats:
    if table.shape == (2, 1):
        chance = rejection_probability(cmh_table(per_cell, per_cell), alpha, table[0, 0], table[1, 0])
        return np.array([chance])
    random = np.random.default_rng(SEED)
    successes = random.binomial(per_cell, table, size=(simulations, *table.shape))
    trials = np.full(table.shape, per_cell)
    return np.asarray(holm_rejects(pair_p(successes, trials, declared), alpha).mean(axis=0), dtype=np.float64)


def _at_most(p_values: Floats, alpha: float) -> NDArray[np.bool_]:
    return np.where(np.isnan(p_values), 1.0, p_values) <= alpha
