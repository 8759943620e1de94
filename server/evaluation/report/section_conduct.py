"""How the campaign went: voids, everything else out of the ordinary, and whether something drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.report.blocks import Figure, Heading, Named, Table, Text
from unichunk.server.evaluation.report.plot_order import order_plot
from unichunk.server.evaluation.report.words import (
    count,
    moment,
    p_equals,
    percent,
    plural,
    points,
)
from unichunk.server.evaluation.statistics.document import Difference

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult


def voids(results: Results, analysis: AnalysisResult) -> list[Block]:
    """Trials that do not count, by policy and by cause.

    Args:
        results: What was recorded.
        analysis: What was computed.
    """
    heading = Heading("Void trials")
    if not results.voids:
        return [heading, Text("None: every trial that was begun was judged.")]
    test = analysis.voids.difference
    again = "were done again at a random later place" if results.ended_early is None else "were to be done again later"
    said = f"{plural(len(results.voids), 'trial')} did not count and {again}. "
    if test.p is None:
        said += f"Whether they fell on some policies more than on others cannot be tested: {test.note}"
    else:
        more = "were more frequent with some policies" if test.rejects else "were not shown to favour a policy"
        said += f"By an exact test they {more} ({p_equals(test.p, analysis.alpha)})."
    rows: list[tuple[Cell, ...]] = [
        (
            Named(one.policy),
            count(one.void),
            percent(one.void.rate),
            ", ".join(f"{cause}: {often}" for cause, often in one.causes),
        )
        for one in analysis.voids.policies
    ]
    each: list[tuple[Cell, ...]] = [
        (Named(void.policy), void.layout, void.cause, void.reason, void.trial) for void in results.voids
    ]
    return [
        heading,
        Text(said),
        Table(("policy", "void", "rate", "causes"), tuple(rows), "lrrl"),
        Table(("policy", "layout", "cause", "reason given before any score", "trial"), tuple(each), "lllll"),
    ]


def deviations(results: Results) -> list[Block]:
    """What else was out of the ordinary.

    Args:
        results: What was recorded.
    """
    redone = sum(trial.attempt > 0 for trial in results.trials)
    unblinded = [trial for trial in results.trials if trial.unblinded]
    said = [
        f"{plural(redone, 'trial')} that {'counts' if redone == 1 else 'count'} "
        f"{'is a repetition of a void one' if redone == 1 else 'are repetitions of void ones'}.",
        f"{plural(len(unblinded), 'trial')} {'was' if len(unblinded) == 1 else 'were'} unblinded in an emergency "
        f"before being judged.",
    ]
    blocks: list[Block] = [Heading("Deviations"), Text(_sentences(said))]
    rows: list[tuple[Cell, ...]] = [
        (moment(one.at), one.kind, one.trial, one.by, one.detail) for one in results.deviations
    ]
    if not rows:
        return [*blocks, Text("The log has no interruption, emergency unblinding or jump of the clock.")]
    return [*blocks, Table(("when", "what", "trial", "by", "detail"), tuple(rows), "lllll")]


def drift(results: Results, analysis: AnalysisResult) -> list[Block]:
    """Success over the session, whichever policy drove.

    Args:
        results: What was recorded.
        analysis: What was computed.
    """
    found = analysis.drift
    if found.trend.p is None:
        said = f"Whether success drifted in the course of the campaign cannot be tested: {found.trend.note}"
    else:
        slope = "" if found.slope is None else f", {points(_change(found.slope))} from the first trial to the last"
        shown = "did drift" if found.trend.rejects else "was not shown to drift"
        said = (
            f"Success {shown} in the course of the campaign, whichever policy drove "
            f"({p_equals(found.trend.p, analysis.alpha)}{slope}). "
        )
        said += (
            "The order was random, so a drift widens the intervals more than it favours a policy, but a policy's rate "
            "is that of these days, not of the robot in general."
            if found.trend.rejects
            else "The order was random in any case, so that a drift would not favour a policy."
        )
    caption = (
        "Each bar is a trial, in the order of time: up and dark for a success, down and pale for a failure. Numbers: "
        "the policy's success in that part of the session."
    )
    rows: list[tuple[Cell, ...]] = [
        (f"{part.first + 1} to {part.last + 1}", count(part.success), percent(part.success.rate))
        for part in found.parts
    ]
    blocks: list[Block] = [
        Heading("Order and drift"),
        Text(said),
        Figure(order_plot(results.trials, found.parts, analysis.policies), caption),
        Table(("trials", "success, all policies", "rate"), tuple(rows), "lrr", found.note),
    ]
    return blocks


def _change(slope: float) -> Difference:
    return Difference(estimate=slope, interval=None)


def _sentences(parts: list[str]) -> str:
    return " ".join(part[0].upper() + part[1:] for part in parts)
