"""Intervals of a success rate, and of the difference of two."""

from __future__ import annotations

from unichunk.server.evaluation.statistics.document import Difference, Interval, Rate


def rate_of(successes: int, trials: int, confidence: float) -> Rate:
    """A rate with its intervals by Wilson (1927) and by Clopper and Pearson (1934).

    Args:
        successes: So many.
        trials: Of so many.
        confidence: Level of the intervals.
    """
    if trials == 0:
        return Rate(successes=0, trials=0, rate=None, wilson=None, clopper_pearson=None)
    return Rate(
        successes=successes,
        trials=trials,
        rate=successes / trials,
        wilson=_interval(successes, trials, confidence, "wilson"),
        clopper_pearson=_interval(successes, trials, confidence, "beta"),
    )


def difference_of(first: tuple[int, int], second: tuple[int, int], confidence: float) -> Difference:
    """Difference of two rates with the hybrid score interval of Newcombe (1998), his method 10.

    Unlike Wald's it neither leaves [-1, 1] nor shrinks to a point where all trials came out the same.

    Args:
        first: Successes and trials.
        second: Successes and trials; its rate is subtracted.
        confidence: Level of the interval.
    """
    if first[1] == 0 or second[1] == 0:
        return Difference(estimate=None, interval=None)
    # Only here: it imports pandas.
    from statsmodels.stats.proportion import confint_proportions_2indep  # noqa: PLC0415

    low, high = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff", alpha=1.0 - confidence)
    estimate = first[0] / first[1] - second[0] / second[1]
    # Rounding may leave the estimate outside by an ulp where an end is the estimate itself.
    return Difference(
        estimate=estimate,
        interval=Interval(low=min(float(low), estimate), high=max(float(high), estimate)),
    )


def _interval(successes: int, trials: int, confidence: float, method: str) -> Interval:
    from statsmodels.stats.proportion import proportion_confint  # noqa: PLC0415

    low, high = proportion_confint(successes, trials, alpha=1.0 - confidence, method=method)
    return Interval(low=max(0.0, float(low)), high=min(1.0, float(high)))
