"""Real processes, killed with SIGKILL at every step and at any moment: nothing is lost, duplicated or scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evaluation.postgres_fixture import postgres  # noqa: F401  (a fixture)
from unichunk.benchmarks.evaluated.crashes import (
    Campaigns,
    CrashRow,
    cut_connections,
    kill_at_any_moment,
    kill_at_steps,
    kill_the_server,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unichunk.benchmarks.evaluated.postgres_server import PostgresServer

pytestmark = [
    pytest.mark.processes,
    # The children only open their own files and end without ever returning into this process's code.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def _check(row: CrashRow) -> None:
    assert row.wrong == []
    assert row.commands > 0
    assert row.kills > 0


def kill_at_some_steps(campaigns: Campaigns, kills: int) -> CrashRow:
    return kill_at_steps(campaigns, kills, stride=7)


@pytest.mark.parametrize(("series", "kills"), [(kill_at_some_steps, 60), (kill_at_any_moment, 25)])
def test_the_service_is_killed(tmp_path: Path, series: Callable[[Campaigns, int], CrashRow], kills: int) -> None:
    row = series(Campaigns(tmp_path), kills)
    _check(row)
    assert row.recorded + row.not_recorded > 0


@pytest.mark.parametrize(
    ("series", "kills"),
    [(kill_at_some_steps, 14), (kill_at_any_moment, 10), (cut_connections, 10), (kill_the_server, 2)],
)
def test_with_postgresql(
    postgres: PostgresServer, tmp_path: Path, series: Callable[[Campaigns, int], CrashRow], kills: int
) -> None:
    _check(series(Campaigns(tmp_path, postgres), kills))
