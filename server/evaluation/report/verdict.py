"""The primary result in words: no more than the declared tests say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.words import (
    count,
    joined,
    number,
    p_equals,
    percent,
    percent_range,
    plural,
    points_range,
)
from unichunk.server.evaluation.statistics.document import Interval

if TYPE_CHECKING:
    from unichunk.server.evaluation.statistics.document import AnalysisResult, CellRate, PairComparison


MOST_PAIRS: Final = 6
"""So many pairs that differ are named, those with the smallest p-values."""


@dataclass(frozen=True)
class Verdict:
    """A sentence, and what belongs to it."""

    title: str
    paragraphs: tuple[str, ...]


def verdict(analysis: AnalysisResult) -> Verdict:
    """What the primary test says, and what it does not.

    Args:
        analysis: What was computed.
    """
    if analysis.ended_early:
        return _by_the_sequential_test(analysis)
    test = analysis.omnibus
    if test.p is None:
        said = "The primary test could not be computed, so nothing is concluded."
        return Verdict(said, (test.note or "There is no reason on record.",))
    named = f"{test.name}, layouts as strata: {_statistic(analysis)}{p_equals(test.p, analysis.alpha)}"
    level = f"α = {number(analysis.alpha)}"
    if analysis.trials < analysis.planned:
        why = (
            f"{analysis.trials} of {analysis.planned} trials were scored. The tests hold at the end of the plan only; "
            f"what they say now is not their answer: {named}."
        )
        return Verdict("The plan is not complete, so nothing is concluded.", (why, _extremes(analysis)))
    if test.rejects:
        title = "The policies differ in how often they succeed."
        first = f"Primary test, declared before the first trial: {named}, at most {level}.{_redrawn(analysis)}"
        return Verdict(title, (first, _extremes(analysis), _pairs(analysis)))
    first = f"Primary test, declared before the first trial: {named}, above {level}.{_redrawn(analysis)}"
    return Verdict("No difference in success was shown.", (first, _extremes(analysis), _absence(analysis)))


def _by_the_sequential_test(analysis: AnalysisResult) -> Verdict:
    """What may be said of a campaign that was ended early: the sequential test may be read at any time."""
    tested = [(pair, pair.sequential) for pair in analysis.pairs if pair.sequential is not None]
    if not tested:
        why = "The plan declared no sequential test, the only one that may be read before the end of the plan."
        return Verdict("The plan was not completed, so nothing is concluded.", (why, _extremes(analysis)))
    differing = [
        f"{pair.first} and {pair.second} (largest e-value {number(test.largest)}, "
        f"adjusted {p_equals(test.adjusted, analysis.alpha)})"
        for pair, test in tested
        if test.rejects
    ]
    amount = plural(len(tested), "declared pair")
    how = f"By the sequential test, valid whenever and why ever a campaign ends, at α = {number(analysis.alpha)}"
    if not differing:
        said = f"{how}: of {amount}, none was shown to differ. That does not show that they are equal."
        return Verdict("Before its early end no difference in success was shown.", (said, _extremes(analysis)))
    said = f"{how}, after Holm's correction: of {amount}, {'; '.join(differing)} differ."
    return Verdict("By the sequential test, policies differ in how often they succeed.", (said, _extremes(analysis)))


def _redrawn(analysis: AnalysisResult) -> str:
    """What the randomization test says beside it: nothing that drifted can mislead that one."""
    test = analysis.randomization
    if test.p is None:
        return ""
    alike = "says the same" if test.rejects == analysis.omnibus.rejects else "does not agree"
    return (
        f" The same statistic judged by redrawing the plan's own order, which holds whatever drifted, {alike}: "
        f"{p_equals(test.p, analysis.alpha)}."
    )


def _statistic(analysis: AnalysisResult) -> str:
    test = analysis.omnibus
    if test.statistic is None:
        return ""
    degrees = "" if test.degrees is None else f"({test.degrees})"
    return f"χ²{degrees} = {number(test.statistic)}, "


def _extremes(analysis: AnalysisResult) -> str:
    cells = sorted((cell for cell in analysis.success if cell.success.rate is not None), key=_rate)
    if not cells:
        return "No trial was scored."
    if _rate(cells[0]) == _rate(cells[-1]):
        return f"All policies succeeded equally often: {count(cells[0].success)}, {percent(_rate(cells[0]))}."
    return f"Most often: {_described(cells[-1], analysis)}. Least often: {_described(cells[0], analysis)}."


def _described(cell: CellRate, analysis: AnalysisResult) -> str:
    rate = cell.success
    share, span = percent(rate.rate, rate.trials), percent_range(rate.wilson, rate.trials)
    return f"{cell.policy}, {count(rate)} ({share}; {percent(analysis.confidence)} interval {span})"


def _pairs(analysis: AnalysisResult) -> str:
    if len(analysis.pairs) == 1:
        return f"The difference: {_ordered(analysis.pairs[0], analysis)}."
    differing = [pair for pair in analysis.pairs if pair.cmh.rejects]
    amount = plural(len(analysis.pairs), "declared pair")
    if not differing:
        return f"Which policies differ was not shown: after Holm's correction none of {amount} does."
    clearest = sorted(differing, key=_adjusted)[:MOST_PAIRS]
    said = [_tested(pair, analysis) for pair in clearest]
    if more := len(differing) - len(clearest):
        said.append(f"and {more} more, see below")
    rest = len(analysis.pairs) - len(differing)
    others = f" For {'the other one' if rest == 1 else f'the other {rest}'} no difference was shown." if rest else ""
    verb = "this one differs" if len(differing) == 1 else "these differ"
    return f"Of {amount}, after Holm's correction {verb}: {'; '.join(said)}.{others}"


def _tested(pair: PairComparison, analysis: AnalysisResult) -> str:
    return f"{_ordered(pair, analysis)}, adjusted {p_equals(pair.cmh.adjusted, analysis.alpha)}"


def _ordered(pair: PairComparison, analysis: AnalysisResult) -> str:
    """The better one first."""
    found = pair.difference
    if found.estimate is None:
        return f"{pair.first} and {pair.second}"
    better, worse = (pair.first, pair.second) if found.estimate >= 0 else (pair.second, pair.first)
    by, interval = abs(found.estimate), found.interval
    if interval is None:
        return f"{better} over {worse} by {100 * by:.0f} points"
    ends = sorted((interval.low, interval.high) if found.estimate >= 0 else (-interval.low, -interval.high))
    span = points_range(Interval(low=ends[0], high=ends[1]))
    return f"{better} over {worse} by {100 * by:.0f} points ({percent(analysis.confidence)} interval {span})"


def _absence(analysis: AnalysisResult) -> str:
    wide = [pair for pair in analysis.pairs if pair.difference.interval is not None]
    if not wide:
        return "That does not show that they are equal."
    pair = max(wide, key=_reach)
    return (
        f"That does not show that they are equal: for {joined([pair.first, pair.second])} differences from "
        f"{points_range(pair.difference.interval)} percentage points stay possible "
        f"({percent(analysis.confidence)} interval)."
    )


def _rate(cell: CellRate) -> float:
    return cell.success.rate or 0.0


def _adjusted(pair: PairComparison) -> float:
    return 1.0 if pair.cmh.adjusted is None else pair.cmh.adjusted


def _reach(pair: PairComparison) -> float:
    interval = pair.difference.interval
    return 0.0 if interval is None else max(abs(interval.low), abs(interval.high))
