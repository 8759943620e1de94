"""The property tests bite: each mistake of `mutations` makes them fail within a few fixed schedules."""

from __future__ import annotations

import pytest

from tests.runtime.mutations import MUTATIONS, Patch
from tests.runtime.schedule import fixed_schedules
from tests.runtime.schedule_checker import check_schedule

SCHEDULES = fixed_schedules(60, steps=120, seed=7)

DOCUMENTED = ("committed to another chunk", "would leave a gap")
"""What the runtime itself says when it notices that it is inconsistent."""


def caught(patch: Patch) -> str | None:
    """What the first schedule that notices says."""
    for schedule in SCHEDULES:
        try:
            check_schedule(schedule)
        except AssertionError as failure:
            return str(failure)
        except (RuntimeError, ValueError) as failure:
            if not any(text in str(failure) for text in DOCUMENTED):
                raise
            return str(failure)
    return None


def test_without_a_mutation_nothing_is_caught(monkeypatch: Patch) -> None:
    assert caught(monkeypatch) is None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_every_mutation_is_caught(mutation: object, monkeypatch: Patch) -> None:
    mutation(monkeypatch)
    assert caught(monkeypatch) is not None, f"{mutation.__name__} went unnoticed in {len(SCHEDULES)} schedules"
