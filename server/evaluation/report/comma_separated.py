"""Rows as comma-separated values (RFC 4180, UTF-8) that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.records import Records, Value

TRIGGERS: Final = "=+-@\t\r\n＝＋－＠'"
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV injection"), and the apostrophe that guards."""


def comma_separated(records: Records) -> str:
    """Write rows.

    Free text that a spreadsheet would take for a formula gets an apostrophe in front; text that begins with an
    apostrophe gets another one, so that taking one away from each gives the text back. Yes and no are 1 and 0.

    Args:
        records: What to write.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(records.columns)
    writer.writerows([_text(value) for value in row] for row in records.rows)
    return written.getvalue()


def guarded(text: str) -> str:
    """A text that is no formula to anybody."""
    # Some programs skip blanks before a formula; none of them show a null character.
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"'{text}" if text.lstrip(" ").startswith(tuple(TRIGGERS)) else text


def _text(value: Value) -> str:
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, tuple):
        return ";".join(str(int(part)) for part in value)
    if isinstance(value, bool):
        return str(int(value))
    return repr(value)
