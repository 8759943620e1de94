"""What an analysis could not compute, or what its reader has to mind, gathered for the top of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.planning.campaign import Randomization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.server.evaluation.statistics.document import AnalysisResult, PairComparison


DRAWN_UNDER_DRIFT: Final = (
    "success changed over the session and policies were drawn independently: the primary test rejects too often then, "
    "read the randomization test instead"
)


def problems_of(analysis: AnalysisResult, randomization: Randomization) -> tuple[str, ...]:
    """One line each; none for what nobody asked for.

    Args:
        analysis: Whole, but for its problems.
        randomization: How trials were put in order.
    """
    drawn = randomization is Randomization.INDEPENDENT_DRAW and analysis.drift.trend.rejects
    early = (not_completed(analysis),) if analysis.ended_early else ()
    return (*early, *([DRAWN_UNDER_DRIFT] if drawn else []), *_problems(analysis))


def not_completed(analysis: AnalysisResult) -> str:
    """What an early end does to the tests, in one line."""
    kept = (
        "the sequential test is what remains valid"
        if any(pair.sequential is not None for pair in analysis.pairs)
        else "the plan declared no sequential test, so no test remains that is valid then"
    )
    return (
        f"the plan was not completed, it was ended early after {analysis.trials} of {analysis.planned} trials: tests "
        f"for a fixed number of trials (Cochran-Mantel-Haenszel, randomization, Barnard, Fisher) and the intervals of "
        f"rates and differences are not valid as declared if the end depended on the data; {kept}"
    )


def _problems(analysis: AnalysisResult) -> Iterator[str]:
    if analysis.trials != analysis.planned and not analysis.ended_early:
        yield f"{analysis.trials} trials were scored, the plan wanted {analysis.planned}"
    yield from _tests(analysis)
    for pair in analysis.pairs:
        yield from (f"{pair.first} against {pair.second}: {line}" for line in _pair(pair))
    if analysis.preferences is not None and analysis.preferences.note:
        yield f"preferences: {analysis.preferences.note}"
    for agreement in analysis.agreement:
        if agreement.note:
            yield f"agreement about {agreement.item}: {agreement.note}"
    for reading in analysis.sensitivity:
        if reading.conclusions_change:
            yield f"a conclusion changes with {reading.name}"


def _tests(analysis: AnalysisResult) -> Iterator[str]:
    if analysis.omnibus.note:
        yield f"primary test: {analysis.omnibus.note}"
    if analysis.drift.trend.rejects:
        yield analysis.drift.note
    if analysis.voids.difference.rejects:
        yield "void trials fell on some policies more than on others"
    if analysis.blinding is not None and analysis.blinding.recognized.rejects:
        yield "operators recognized policies more often than by chance"


def _pair(pair: PairComparison) -> Iterator[str]:
    for test in (pair.cmh, pair.randomization, pair.exact, pair.barnard, pair.fisher):
        if test.p is None:
            yield f"{test.name}: {test.note}"
    if pair.odds_ratio.note:
        yield f"odds ratio: {pair.odds_ratio.note}"
    homogeneity = pair.odds_ratio.homogeneity
    if homogeneity.p is not None and homogeneity.rejects:
        yield "layouts do not agree about the odds ratio: read the layouts one by one"
    if pair.sequential is not None and pair.sequential.note:
        yield f"sequential: {pair.sequential.note}"
