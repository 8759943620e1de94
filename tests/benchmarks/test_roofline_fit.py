"""Efficiency factors: found again where they are known, and never fitted to what they predict."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.benchmarks.roofline.fit import PRIOR, ROOFLINE, Parts, Sample, errors, fitted, left_out, seconds
from unichunk.benchmarks.roofline.measure import ROWS, Measured, measured
from unichunk.benchmarks.roofline.report import validation_table

factor = st.floats(0.5, 2.0)


def samples(factors: Parts, count: int = 12, models: int = 4) -> list[Sample]:
    random = np.random.default_rng(0)
    made = []
    for index in range(count):
        parts = Parts(*(float(part) for part in random.uniform(0.1, 1.0, 4) * 10 ** random.uniform(-3, 0)))
        made.append(Sample(f"model {index % models}", "chunk", parts, seconds(factors, parts)))
    return made


def objective(factors: Parts, measured: list[Sample]) -> float:
    """What is made smallest: squares of relative errors, and of the distance from the roofline."""
    relative = sum((seconds(factors, sample.parts) / sample.measured_s - 1) ** 2 for sample in measured)
    distance = sum((mine - believed) ** 2 for mine, believed in zip(astuple(factors), astuple(ROOFLINE), strict=True))
    return relative + PRIOR * len(measured) * distance


@settings(deadline=None, max_examples=20)
@given(factor, st.floats(0.0, 1.0), factor, factor, st.sampled_from(["products", "hidden", "pointwise", "launches"]))
def test_no_other_factors_fit_better(
    products: float, hidden: float, pointwise: float, launches: float, name: str
) -> None:
    measured = samples(Parts(products, hidden, pointwise, launches))
    found = fitted(measured)
    assert min(astuple(found)) >= 0
    for other in (getattr(found, name) + 0.01, max(0.0, getattr(found, name) - 0.01)):
        assert objective(found, measured) <= objective(replace(found, **{name: other}), measured) + 1e-12
    assert errors([(sample, seconds(found, sample.parts)) for sample in measured])["median_percent"] < 15


def test_what_the_roofline_says_needs_no_correction() -> None:
    found = fitted(samples(ROOFLINE))
    assert found.row() == pytest.approx(ROOFLINE.row(), abs=1e-6)
    assert errors(left_out(samples(ROOFLINE)))["worst_percent"] < 1e-3


def test_a_model_is_predicted_without_its_own_times() -> None:
    honest = samples(ROOFLINE)
    changed = [replace(s, measured_s=3 * s.measured_s) if s.model == "model 1" else s for s in honest]
    for (sample, predicted), (_, before) in zip(left_out(changed), left_out(honest), strict=True):
        if sample.model == "model 1":
            assert predicted == pytest.approx(before)
            assert predicted == pytest.approx(sample.measured_s / 3)


def test_errors_are_of_the_measured_time() -> None:
    parts = Parts(1.0, 0.0, 0.0, 0.0)
    pairs = [(Sample("a", "chunk", parts, 2.0), 1.0), (Sample("b", "chunk", parts, 1.0), 1.1)]
    found = errors(pairs)
    assert found["worst_percent"] == pytest.approx(50)
    assert found["median_percent"] == pytest.approx(30)
    assert found["graphs"] == 2


@pytest.mark.parametrize(("spread", "busy"), [(5.0, False), (80.0, True)])
def test_a_busy_machine_is_said(spread: float, busy: bool) -> None:
    pairs = left_out(samples(ROOFLINE))
    rows = [
        {"model": sample.model, "graph": "chunk", "predicted_ms": 1e3 * found, "measured_ms": 1e3, "error_percent": 1.0}
        for sample, found in pairs
    ]
    device = Measured(1, (1e9,) * len(ROWS), 1e10, 1e10, 1e-6).row()
    validation = {"device": device, "left_out": errors(pairs), "factors": ROOFLINE.row(), "rows": rows}
    table = validation_table(validation | {"median_spread_percent": spread})
    assert table.startswith("## Prediction: graph times of this processor")
    assert ("The machine was busy" in table) == busy


def test_what_was_measured_becomes_rates() -> None:
    names = [f"product {rows}" for rows in ROWS]
    times = {name: [1e-3, 1e-3, 9.0] for name in [*names, "copy", "pointwise", "nodes"]}
    found = measured(1, times)
    rates = found.rates()
    assert rates.peak.at(256) == pytest.approx(256 * rates.peak.at(1))
    assert rates.launch_s == pytest.approx(1e-3 / 200)
    assert not rates.fused
    assert found.row()["copy_gb_s"] == pytest.approx(2 * 128 * 2**20 / 1e6)
