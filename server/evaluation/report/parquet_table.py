"""The trials as a Parquet table, with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.results import Results


def write_trials(path: Path, results: Results) -> None:
    """Write every trial that counts, in the order in which they were judged.

    Args:
        path: The file.
        results: What was recorded.
    """
    schema = pa.schema(
        [
            ("order", pa.int32()),
            ("trial", pa.string()),
            ("policy", pa.string()),
            ("task", pa.string()),
            ("layout", pa.string()),
            ("attempt", pa.int32()),
            ("success", pa.bool_()),
            ("rubric", pa.list_(pa.bool_())),
            ("operator", pa.string()),
            ("robot", pa.string()),
            ("started_at", pa.timestamp("ns", tz="UTC")),
            ("duration_s", pa.float64()),
            ("unblinded", pa.bool_()),
            ("note", pa.string()),
        ],
        metadata=_about(results),
    )
    rows: list[dict[str, Any]] = [
        {name: getattr(trial, name) if name != "started_at" else trial.started_at or None for name in schema.names}
        for trial in results.trials
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def _about(results: Results) -> dict[str, str]:
    plan = results.plan
    return {
        "campaign": plan.campaign.name,
        "campaign_id": plan.campaign_id,
        "commitment": plan.commitment,
        "log_head": results.log_head,
    }
