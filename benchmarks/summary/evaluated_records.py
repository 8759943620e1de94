"""Tables of kills and of tampering, from the stored document of `evaluation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]


def evaluation_records(document: Row) -> str:
    """In short: how often what was done, and what went wrong."""
    lines = []
    for row in document["crashes"]:
        times = f"{row['kills']} times" if is_measured(row) else "-"
        wrong = f"{len(row['wrong'])} wrong" if is_measured(row) else f"not measured: {row['not_measured']}"
        lines.append([f"{row['database']}: {row['how']}" if "how" in row else row["database"], times, wrong])
    rows = document["tampering"]
    cases, refused, found, missed = (sum(_count(row[name]) for row in rows) for name in _TAMPERED)
    outcome = f"{found} found, {refused} refused by the tables, {missed} missed"
    lines.append([f"records and files ({', '.join(row['what'] for row in rows)})", f"{cases} cases", outcome])
    return markdown_table(["killed, or changed", "how often", "what came of it"], lines)


def evaluation_crashes(document: Row) -> str:
    """What became of commands that a process was killed over."""
    lines = []
    for row in document["crashes"]:
        if is_measured(row):
            counts = (row["commands"], row["campaigns"], row["recorded"], row["not_recorded"])
            wrong = "; ".join(row["wrong"]) or "0"
            lines.append([row["database"], row["how"], row["kills"], row["steps"] or "-", *counts, wrong])
        else:
            lines.append([row["database"], f"not measured: {row['not_measured']}", *"-------"])
    headers = ["", "what was killed", "kills", "kinds of steps", "commands answered", "campaigns completed"]
    return markdown_table([*headers, "unanswered: recorded", "not recorded", "wrong"], lines)


def evaluation_tampering(document: Row) -> str:
    """What was done to records, and whether it was found."""
    lines = [
        [row["what"], *(_count(row[name]) for name in _TAMPERED[:3]), "; ".join(row["missed"]) or "0"]
        for row in document["tampering"]
    ]
    return markdown_table(["", "cases", "refused by the tables", "found", "missed"], lines)


_TAMPERED = ("cases", "refused", "found", "missed")


def _count(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else value
