"""From the records of an opened campaign to its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.evaluation.errors import Sealed
from unichunk.server.evaluation.planning.opening import load_unblinded
from unichunk.server.evaluation.report.write import write_report
from unichunk.server.evaluation.statistics.analysis import analyse
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.results import results_of
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


def make_report(folder: Path, out: Path | None = None) -> list[Path]:
    """Verify a campaign's records, compute what its plan declared, and write it down.

    Args:
        folder: Of the campaign.
        out: Where the report goes; None: `report/` in the folder. An older one there is replaced.

    Returns:
        What was written.

    Raises:
        Sealed: Where the campaign was not opened.
        Tampered: Where the records do not verify: there is no report of such.
    """
    unblinded = load_unblinded(folder)
    if unblinded is None:
        raise Sealed(f"{folder}: was not opened: `unichunk eval unblind` does that once every trial is scored")
    verify(folder)
    store = EvaluationStore.open(folder)
    try:
        results = results_of(store, dict(enumerate(unblinded.policies)))
    finally:
        store.close()
    episodes = folder / "episodes"
    target = folder / "report" if out is None else out
    runs = folder / "private" / "runs"
    return write_report(results, analyse(results), target, episodes if episodes.is_dir() else None, runs)
