"""The machine and the day of a stored result, as pages say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def where_and_when(document: Mapping[str, Any]) -> str:
    """One line: processor, cores, date."""
    machine = document["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, CPython {machine['python']}, {document['date']}"
