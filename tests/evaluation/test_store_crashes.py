"""Real processes, killed with SIGKILL at every step and at any moment: nothing is lost, duplicated or scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unichunk.benchmarks.evaluated.crashes import (
    Campaigns,
    CrashRow,
    kill_at_any_moment,
    kill_at_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    # The children only open their own files and end without ever returning into this process's code.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def _check(row: CrashRow) -> None:
    assert row.wrong == []
    assert row.commands > 0
    assert row.kills > 0


def kill_at_some_steps(campaigns: Campaigns, kills: int) -> CrashRow:
    return kill_at_steps(campaigns, kills, stride=11)


@pytest.mark.parametrize(("series", "kills"), [(kill_at_some_steps, 50), (kill_at_any_moment, 25)])
def test_the_service_is_killed(tmp_path: Path, series: Callable[[Campaigns, int], CrashRow], kills: int) -> None:
    row = series(Campaigns(tmp_path), kills)
    _check(row)
    assert row.recorded + row.not_recorded > 0
