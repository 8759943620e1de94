"""Posteriors of success, and what operators preferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.blocks import Figure, Heading, Named, Table, Text
from unichunk.server.evaluation.report.plot_posteriors import posteriors_plot
from unichunk.server.evaluation.report.words import (
    number,
    number_range,
    percent,
    percent_range,
    plural,
    probability,
)

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.statistics.document import AnalysisResult, Preferences


def posteriors(analysis: AnalysisResult) -> list[Block]:
    """The Beta posteriors.

    Args:
        analysis: What was computed.
    """
    intro = (
        "From Jeffreys' prior Beta(½, ½), each policy by itself, layouts together. These are statements of belief "
        "under that prior, beside the tests and not instead of them; they carry no correction for several policies."
    )
    caption = (
        f"Posterior density of each policy's success, each drawn to its own height; bar: "
        f"{percent(analysis.confidence)} credible interval, mark: mean."
    )
    rows: list[tuple[Cell, ...]] = [
        (
            Named(posterior.policy),
            f"Beta({number(posterior.a, 6)}, {number(posterior.b, 6)})",
            percent(posterior.mean),
            percent_range(posterior.credible),
            probability(posterior.best),
        )
        for posterior in analysis.posteriors
    ]
    blocks: list[Block] = [
        Heading("Posteriors"),
        Text(intro),
        Figure(posteriors_plot(analysis.posteriors, analysis.policies), caption),
        Table(("policy", "posterior", "mean", "credible", "P(best of all)"), tuple(rows), "llrrr"),
    ]
    believed: list[tuple[Cell, ...]] = [
        (pair.first, pair.second, probability(pair.first_better))
        for pair in analysis.pairs
        if pair.first_better is not None
    ]
    if believed:
        blocks.append(Table(("first", "second", "P(first is better)"), tuple(believed), "llr"))
    return blocks


def preferences(analysis: AnalysisResult) -> list[Block]:
    """The Bradley-Terry model; nothing where nobody was asked.

    Args:
        analysis: What was computed.
    """
    found = analysis.preferences
    if found is None:
        return []
    rows: list[tuple[Cell, ...]] = [
        (
            Named(one.policy),
            str(one.wins),
            str(one.losses),
            str(one.ties),
            number(one.strength),
            number_range(one.interval),
            *(() if found.connected else (str(one.component),)),
        )
        for one in found.strengths
    ]
    headers = ("policy", "preferred", "not", "neither", "log strength", "interval")
    columns = headers if found.connected else (*headers, "group")
    return [
        Heading("Preferences"),
        Text(_said(found)),
        Table(columns, tuple(rows), "lrrrrrr"[: len(columns)], found.note),
    ]


def _said(found: Preferences) -> str:
    left_out = f" {found.left_out} were left out: of one policy with itself, or of trials that do not count."
    apart = " Policies of different groups were never compared, so their strengths do not compare." * (
        not found.connected
    )
    helped = " Half a win was added to both sides of every pair, because some strength would be infinite without." * (
        found.regularized
    )
    return (
        f"Operators compared {plural(found.compared, 'pair')} of consecutive trials on the same task without knowing "
        f"the policies; {plural(found.ties, 'time')} neither was better. Bradley and Terry's model, ties as half a win "
        f"for both.{left_out if found.left_out else ''}{apart}{helped}"
    )
