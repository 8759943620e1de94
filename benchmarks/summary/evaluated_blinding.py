"""Tables of what gives policies away, and of how trials are put in order, from the stored document of `evaluation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.summary.where_and_when import where_and_when

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

HALF: Final = 0.51
"""Share of a campaign after which it is broken off in the table."""


def evaluation_leaks(document: Row) -> str:
    """How often a classifier says right which policy drove, before and behind the proxy."""
    rows = document["leaks"]["told apart"]
    groups = list(dict.fromkeys(row["by"] for row in rows))
    cells = {(row["scene"], row["by"]): row for row in rows}
    lines = [
        [scene, *(_told(cells.get((scene, group))) for group in groups)]
        for scene in dict.fromkeys(row["scene"] for row in rows)
    ]
    trials = sorted({row["trials"] for row in rows})
    note = f"{' or '.join(map(str, trials))} trials a line; chance is {rows[0]['chance']:.2f}"
    return f"{markdown_table(['right guesses (p)', *groups], lines)}\n\n({note}; {where_and_when(document)})"


def evaluation_answers(document: Row) -> str:
    """What answers of each policy were like."""
    onsets = {(row["scene"], row["policy"]): row["answers_p50"] for row in document["leaks"]["onset"]}
    lines = [
        [
            row["scene"],
            row["policy"],
            row["answers"],
            *(" or ".join(map(str, row[name])) for name in ("bytes", "greeting_bytes", "error_bytes")),
            ", ".join(f"{row[f'response_ms_{name}']:.1f}" for name in ("p50", "p95", "max")),
            f"{onsets[row['scene'], row['policy']]:g}",
        ]
        for row in document["leaks"]["answers"]
    ]
    headers = ["", "policy", "answers", "bytes of an answer", "of the greeting", "of an error"]
    return markdown_table([*headers, "response p50, p95, max [ms]", "motion begins after answers (median)"], lines)


def evaluation_orders(document: Row) -> str:
    """What each way to randomize keeps secret and in balance, and what drift does to it."""
    tables = document["randomizations"]
    guesses = {_order(row): row for row in tables["predictability"]}
    gaps = {_order(row): row for row in tables["balance"] if row["stopped_after"] == HALF}
    drifts = list(dict.fromkeys(row["drift"] for row in tables["drift"]))
    biases = {(_order(row), row["drift"]): row for row in tables["drift"]}
    lines = []
    for order in dict.fromkeys(_order(row) for row in tables["drift"]):
        guess, gap = guesses.get(order), gaps.get(order)
        lines.append(
            [
                " x ".join(map(str, order[:3])),
                order[3],
                _numbers(guess, "guessed", "certain", "blinded"),
                _numbers(gap, "cell_gap", "policy_gap", "worst_policy_gap", digits=1),
                *(f"{biases[order, drift]['rms']:.3f}" for drift in drifts),
                f"{biases[order, drifts[0]]['chance']:.3f}",
            ]
        )
    headers = ["layouts x policies x K", "order", "guessed, certain, blinded"]
    headers += ["gap of cells, of policies, worst", *(f"bias, rms: {drift}" for drift in drifts), "chance"]
    return markdown_table(headers, lines)


def _order(row: Row) -> tuple[int, int, int, str]:
    return row["layouts"], row["policies"], row["replicates"], row["method"]


def _numbers(row: Row | None, *names: str, digits: int = 2) -> str:
    return "-" if row is None else ", ".join(f"{row[name]:.{digits}f}" for name in names)


def _told(row: Row | None) -> str:
    return "-" if row is None else f"{row['accuracy']:.2f} ({row['p_permutation']:.2g})"
