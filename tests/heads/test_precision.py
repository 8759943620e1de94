"""Policies with action queries in fewer bits: how far their actions are from float32, and that locks hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.heads.models import ROBOT, ROWS
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.recorded_observations import RecordedObservation, RecordedObservations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.heads.models import Case


@pytest.mark.parametrize(
    ("kind", "precision", "method"),
    [("flow", "int8", "computed"), ("masked", "bf16", "emulated"), ("regression", "int8", "computed")],
)
def test_the_deviation_is_measured(
    cases: Callable[[str], Case], kind: str, precision: str, method: str, tmp_path: Path
) -> None:
    case = cases(kind)
    questions = [
        RecordedObservation(case.observation, case.previous, 2),
        RecordedObservation(case.observation, None, 0),
    ]
    RecordedObservations(ROBOT, questions).save(tmp_path / "seen.npz", ROWS)
    observations = (tmp_path / "seen.npz",)
    out = case.model.compiled(tmp_path / "bundle", precision=precision, observations=observations, max_deviation=1.0)
    deviation = read_manifest(out).deviation
    assert deviation is not None
    assert (deviation.method, deviation.observations) == (method, 2)
    assert 0 < deviation.largest < 0.2
    if method == "computed":
        found = Policy.load(out).infer(case.observation, case.previous, 3, case.noise).unified
        assert found[:3].tobytes() == case.previous[:3].tobytes()
        assert 0 < np.abs(found - case.rows(3)).max() < 0.2
