"""From what was measured to a document and its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.document import document
from unichunk.benchmarks.harness.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFINITIONS: Final = {
    "operating": "share of campaigns in which a test rejects (or an interval covers), each with its Monte Carlo "
    "standard error; 0 where it was computed by enumeration; nominal: the largest it may be (of coverage: the least)",
    "randomizations": "guessed: share of right guesses of somebody who knows all past assignments and guesses what is "
    "behind (Blackwell and Hodges); certain: trials for which only one policy was possible; cell_gap, policy_gap: most "
    "less fewest trials after a share of the campaign; drift: bias while success drifts",
    "leaks": "accuracy of classifiers that see what a robot can measure of each answer, cross-validated by trial; "
    "chance is 1 / policies",
    "crashes": "kills of a process that runs a campaign; recorded, not_recorded: commands whose answer never came, as "
    "they were found afterwards and asked again with their keys; wrong: whatever was lost, duplicated, scored again, "
    "invented, or did not verify",
    "tampering": "every field of every row changed, rows removed, inserted, swapped, the log cut, files changed, all "
    "of it signed anew; refused: by the tables' own constraints; found: by `unichunk eval verify`",
}


def make_document(measured: Mapping[str, Any], *, quick: bool) -> dict[str, Any]:
    """The result.

    Args:
        measured: For each part, rows or tables of rows.
        quick: Whether this was the short form.
    """
    return document("evaluation", quick=quick, definitions={part: DEFINITIONS[part] for part in measured}, **measured)


def markdown(result: Mapping[str, Any]) -> str:
    """Its tables."""
    parts = []
    for part in result["definitions"]:
        found = result[part]
        tables = found if isinstance(found, dict) and "not_measured" not in found else {"": found}
        for name, rows in tables.items():
            parts.append(f"{part}{f', {name}' if name else ''}:")
            parts.append(_table(rows if isinstance(rows, list) else [rows]))
    return "\n\n".join(parts)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return markdown_table(columns, [[_cell(row.get(column)) for column in columns] for row in rows])


def _cell(value: Any) -> Any:
    return "; ".join(map(str, value)) or 0 if isinstance(value, (list, tuple)) else value
