"""Tables of served policies for the project's pages, from stored documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio
from unichunk.benchmarks.networked.rows import COLUMNS, cells_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVED: Final = ("policy", "clients", "server", "client")
_TIMES: Final = ("p50_ms", "p99_ms", "per_s", "unfairness")
_FELT: Final = ("healthz_p50_ms", "healthz_max_ms", "ping_p50_ms", "ping_max_ms")


def serve_round_trips(document: Mapping[str, Any]) -> str:
    """Round trips of every client of every server."""
    rows = [[*(row[name] for name in SERVED), *(_number(row[name]) for name in _TIMES)] for row in document["rows"]]
    headers = [*SERVED, "p50 [ms]", "p99 [ms]", "answers per s", "slowest / fastest client"]
    return markdown_table(headers, rows)


def serve_felt(document: Mapping[str, Any]) -> str:
    """What others feel of many clients: health checks, pings, and one client of another policy."""
    rows = [row for row in document["rows"] if "ping_p50_ms" in row]
    felt = [[*(row[name] for name in SERVED), *(_number(row[name]) for name in _FELT)] for row in rows]
    headers = [*SERVED, "`/healthz` p50 [ms]", "max", "ping p50 [ms]", "max"]
    beside = document["beside"] if is_measured(document["beside"]) else []
    others = [[row["server"], *(_number(row[name]) for name in ("p50_ms", "p99_ms", "max_ms"))] for row in beside]
    return "\n\n".join(
        [
            markdown_table(headers, felt),
            "One client of the no-op policy beside 63 of the one that sleeps 30 ms:",
            markdown_table(["server", "p50 [ms]", "p99", "max"], others),
        ]
    )


def serve_ratios(document: Mapping[str, Any]) -> str:
    """Round trips and rates in parts of others of the same rounds."""
    return markdown_table(
        ["ratio", "median (95 %)"], [[label, str(Ratio(**value))] for label, value in document["ratios"].items()]
    )


def network_runs(document: Mapping[str, Any]) -> str:
    """What each network did to a run."""
    return markdown_table(COLUMNS, [cells_of(row) for row in document["rows"]])


def _number(value: Any) -> str:
    return f"{value:.3g}" if is_measured(value) and value is not None else "-"
