"""Whether those who judged agree, and whether they knew what they judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.blocks import Bullets, Heading, Named, Table, Text
from unichunk.server.evaluation.report.words import (
    DASH,
    number,
    number_range,
    p_equals,
    percent,
    plural,
)

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Block, Cell
    from unichunk.server.evaluation.statistics.document import Agreement, AnalysisResult, BlindingIndex, PolicyGuesses


MOST_COLUMNS: Final = 7
"""With more guesses to choose from than this they have no columns here; they are in guesses.csv."""


def agreement(analysis: AnalysisResult) -> list[Block]:
    """Operators and second raters.

    Args:
        analysis: What was computed.
    """
    heading = Heading("Second raters")
    if not analysis.agreement:
        return [heading, Text("No trial was judged a second time: whether another judge would agree is not known.")]
    headers = ("judged", "pairs", "both yes", "operator only", "rater only", "both no", "agree", "κ", "interval", "α")
    rows: list[tuple[Cell, ...]] = [
        (
            f"{one.task}: {one.item}" if one.task else one.item,
            str(one.judged),
            str(one.both_yes),
            str(one.operator_only),
            str(one.rater_only),
            str(one.both_no),
            percent(one.raw),
            number(one.kappa, 2),
            number_range(one.interval, 2),
            number(one.krippendorff, 2),
        )
        for one in analysis.agreement
    ]
    note = "κ: Cohen's, with its interval; α: Krippendorff's, over all judgements."
    blocks: list[Block] = [
        heading,
        Text(_agreed(analysis.agreement[0])),
        Table(headers, tuple(rows), "lrrrrrrrrr", note),
    ]
    notes = tuple(f"{one.item}: {one.note}" for one in analysis.agreement if one.note)
    return [*blocks, Bullets(notes)] if notes else blocks


def blinding(analysis: AnalysisResult) -> list[Block]:
    """What operators guessed.

    Args:
        analysis: What was computed.
    """
    heading, index = Heading("Blinding"), analysis.blinding
    if index is None:
        said = (
            "Operators were not asked which policy they thought they saw. Names, addresses, message sizes and timing "
            "were hidden from them; whether they recognized policies by their motion is not known."
        )
        return [heading, Text(said)]
    guesses = list(dict.fromkeys(guess for one in index.policies for guess, _ in one.guesses))
    if len(guesses) > MOST_COLUMNS:
        guesses = [""]
    rows: list[tuple[Cell, ...]] = [_guessed(one, guesses) for one in index.policies]
    names = [f"guess: {guess}" if guess else "does not know" for guess in guesses]
    headers = ("policy", *names, "right", "Bang", "interval")
    note = (
        "Bang's index, for each policy: 0 as by chance, 1 always recognized, below 0 taken for others. James' index "
        f"over all (1: nobody knows, 0.5: as by chance, 0: always recognized): {number(index.james, 2)}, interval "
        f"{number_range(index.james_interval, 2)}."
    )
    blocks: list[Block] = [
        heading,
        Text(interpretation(index, analysis.alpha)),
        Table(headers, tuple(rows), "l" + "r" * (len(headers) - 1), note),
    ]
    return [*blocks, Text(index.note, small=True)] if index.note else blocks


def interpretation(index: BlindingIndex, alpha: float) -> str:
    """What the guesses mean for the results, in words.

    Args:
        index: What was computed of them.
        alpha: Level of the test.
    """
    asked = f"Operators were asked after {plural(index.asked, 'trial')} which policy they thought it was"
    unknown = sum(one.unknown for one in index.policies)
    asked = f"{asked}, after judging it; {plural(unknown, 'time')} they did not know. "
    test = index.recognized
    if test.p is None:
        return f"{asked}Whether they recognized policies cannot be said: {test.note or 'there are too few guesses'}."
    found = p_equals(test.p, alpha)
    if test.rejects:
        known = [one.policy for one in index.policies if one.interval is not None and one.interval.low > 0]
        which = f" (most clearly {', '.join(known)})" if known else ""
        return (
            f"{asked}They were right more often than by chance{which}: {found}. What they saw of the motion may have "
            f"told policies apart, so their scores may carry what they expected of a policy; weigh the second raters "
            f"and the criterion's sharpness accordingly. A better policy is also recognized by its success: guesses "
            f"were given when the outcome was known."
        )
    return (
        f"{asked}They were not shown to be right more often than by chance ({found}). That does not prove that "
        f"blinding was complete; it is what blinding would look like."
    )


def _agreed(first: Agreement) -> str:
    if first.raw is None:
        return "No trial was judged twice."
    said = (
        f"Raters judged {plural(first.judged, 'trial')} again from video, in an order of their own and without the "
        f"operator's score or the policy. On success they agreed in {percent(first.raw)}"
    )
    if first.kappa is None:
        return f"{said}; Cohen's κ is not defined here."
    return f"{said} (Cohen's κ = {number(first.kappa, 2)}, {_scale(first.kappa)} on Landis and Koch's scale)."


def _scale(kappa: float) -> str:
    """Landis & Koch (1977): names for ranges that they themselves call arbitrary."""
    if kappa < 0:
        return "poor"
    names = ("slight", "fair", "moderate", "substantial", "almost perfect")
    return next((name for bound, name in zip((0.2, 0.4, 0.6, 0.8), names, strict=False) if kappa <= bound), names[-1])


def _guessed(one: PolicyGuesses, guesses: list[str]) -> tuple[Cell, ...]:
    often = dict(one.guesses)
    made = one.correct + one.wrong
    right = f"{one.correct} of {made}" if made else DASH
    counts = (str(often.get(guess, 0)) for guess in guesses)
    return (Named(one.policy), *counts, right, number(one.bang, 2), number_range(one.interval, 2))
