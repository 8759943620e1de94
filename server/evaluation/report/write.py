"""Writes a report: the page, the paper, the tables, the numbers and the episodes, all of them or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.report.comma_separated import comma_separated
from unichunk.server.evaluation.report.content import content
from unichunk.server.evaluation.report.dataset import NOTHING, write_dataset
from unichunk.server.evaluation.report.folder import MARK, whole_folder
from unichunk.server.evaluation.report.page import page
from unichunk.server.evaluation.report.paper import paper
from unichunk.server.evaluation.report.parquet_table import write_trials
from unichunk.server.evaluation.report.records import records
from unichunk.server.evaluation.report.section_latency import read_counts

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult


def write_report(
    results: Results,
    analysis: AnalysisResult,
    folder: Path,
    episodes: Path | None = None,
    runs: Path | None = None,
) -> list[Path]:
    """Write everything that is to be known of a campaign.

    The same input gives the same bytes: no clock, no chance. There is no `lerobot/` where nothing was recorded.

    Args:
        results: What was recorded, opened.
        analysis: What was computed of it.
        folder: Where; an older report there is replaced once the new one is whole.
        episodes: The folder with a folder for each trial; None: there are none.
        runs: The folder with what the proxy counted in each trial; None: there is none.

    Returns:
        What was written, in the order of names; folders of `lerobot/` not one by one.

    Raises:
        ReportError: Where it cannot be written; nothing is left behind, and an older report stays.
    """
    with whole_folder(folder) as new:
        exported = NOTHING if episodes is None else write_dataset(new / "lerobot", results, episodes)
        document = content(results, analysis, exported, read_counts(runs, results))
        (new / "report.html").write_text(page(document), encoding="utf-8")
        (new / "report.pdf").write_bytes(paper(document))
        (new / MARK).write_bytes(msgspec.json.format(msgspec.json.encode(analysis), indent=1) + b"\n")
        for table in records(results):
            (new / f"{table.name}.csv").write_text(comma_separated(table), encoding="utf-8", newline="")
        write_trials(new / "trials.parquet", results)
        names = sorted(path.name for path in new.iterdir())
    return [folder / name for name in names]
