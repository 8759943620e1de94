"""The declared pairs: tests with Holm's correction, sizes of the differences, odds ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.blocks import Bullets, Callout, Figure, Heading, Table, Text
from unichunk.server.evaluation.report.plot_pairs import pairs_plots
from unichunk.server.evaluation.report.words import (
    decision,
    number,
    number_range,
    p_value,
    percent,
    plural,
    points,
    points_range,
)

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.statistics.document import AnalysisResult, PairComparison, Tested


def pairs(analysis: AnalysisResult) -> list[Block]:
    """Every declared pair.

    Args:
        analysis: What was computed.
    """
    level = percent(analysis.confidence)
    intro = (
        f"The plan declared {plural(len(analysis.pairs), 'pair')}. Each family of tests is corrected by Holm's method "
        f"over them and held to α = {number(analysis.alpha)}. The stratified Cochran-Mantel-Haenszel test is primary; "
        f"the others check that its answer does not hang on the robot staying as it was (the same statistic, judged by "
        f"redrawing the plan's order), on its approximation (exact, stratified) or on the strata (Barnard, Fisher). A "
        f"pair counts as different where the primary test says so."
    )
    caption = (
        f"Success of the first policy less that of the second, layouts together, with Newcombe's interval at {level}, "
        f"not corrected for several pairs. Filled: the primary test differs after Holm's correction; hollow: not shown."
    )
    blocks: list[Block] = [
        Heading("Pairs of policies"),
        *_early_end(analysis),
        Text(intro),
        *(Figure(scene, caption) for scene in pairs_plots(analysis.pairs)),
        _tests(analysis),
        _sizes(analysis),
    ]
    if notes := tuple(note for pair in analysis.pairs for note in _notes(pair)):
        blocks.append(Bullets(notes))
    return blocks


def _early_end(analysis: AnalysisResult) -> list[Block]:
    if not analysis.ended_early:
        return []
    why = "These tests and intervals are for a number of trials that was fixed in advance. The plan was not completed."
    return [Callout("warning", "Not valid as declared if the end depended on the data.", (why,))]


def _tests(analysis: AnalysisResult) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for pair in analysis.pairs:
        tests = (pair.cmh, pair.randomization, pair.exact, pair.barnard, pair.fisher)
        cells = [p_value(_shown(test), analysis.alpha) for test in tests]
        rows.append((_name(pair), *cells, decision(pair.cmh)))
    headers = ("pair", "CMH (primary)", "redrawn order", "exact, stratified", "Barnard", "Fisher", "primary says")
    return Table(headers, tuple(rows), "lrrrrrl", "p-values after Holm's correction, two-sided.")


def _sizes(analysis: AnalysisResult) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for pair in analysis.pairs:
        odds = pair.odds_ratio
        layouts_agree = p_value(odds.homogeneity.p, analysis.alpha)
        rows.append(
            (
                _name(pair),
                points(pair.difference),
                points_range(pair.difference.interval),
                number(odds.estimate),
                number_range(odds.interval),
                layouts_agree,
                p_value(pair.cmh.p, analysis.alpha),
            )
        )
    headers = ("pair", "difference", "interval", "odds ratio", "interval", "layouts agree, p", "CMH, uncorrected p")
    note = (
        "Odds ratio: Mantel and Haenszel's over layouts, interval by Robins, Breslow and Greenland; whether layouts "
        "agree about it: Breslow and Day's test with Tarone's correction."
    )
    return Table(headers, tuple(rows), "lrrrrrr", note)


def _shown(test: Tested) -> float | None:
    return test.p if test.adjusted is None else test.adjusted


def _notes(pair: PairComparison) -> list[str]:
    tests = (pair.cmh, pair.randomization, pair.exact, pair.barnard, pair.fisher)
    said = [(test.name, test.note) for test in tests]
    said += [("odds ratio", pair.odds_ratio.note), ("layouts agree", pair.odds_ratio.homogeneity.note)]
    return [f"{_name(pair)}, {name}: {note}" for name, note in said if note]


def _name(pair: PairComparison) -> str:
    return f"{pair.first} vs {pair.second}"
