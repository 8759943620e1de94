"""The numbers of a task that a simulated robot was given."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.task_meter import TaskMeter
from unichunk.embodiments.sim.instruction import Asked
from unichunk.embodiments.sim.reference import reference_errors
from unichunk.embodiments.sim.twin import Twin

SPEC = load_spec("so101")
SEED = 5


def test_the_numbers_are_of_what_was_asked():
    twin = Twin(SPEC, SEED)
    asked = [Asked("red", "open"), Asked("blue", "open"), Asked("blue")]
    meters = [TaskMeter(one, twin.time, twin.q) for one in asked]
    q_start, truths = twin.q, []
    for _ in range(80):
        twin.set_command(twin.task.goal("blue", twin.time, "open"))
        twin.advance(5 * twin.steps_per_command)
        truths.append(twin.truth())
        for meter in meters:
            meter.add(twin.time, twin.q)
    red, blue, half = (meter.numbers(SPEC, SEED) for meter in meters)
    assert blue["policy_error_m"] == pytest.approx(np.mean([truth.errors["blue"] for truth in truths]), abs=1e-6)
    assert blue["policy_error_m"] < 0.04 < blue["other_error_m"]
    assert (red["policy_error_m"], red["other_error_m"]) == (blue["other_error_m"], blue["policy_error_m"])
    assert blue["duration_s"] == pytest.approx(4.0)
    assert (blue["success"], blue["on_target_share"]) == (1.0, 1.0)
    assert (red["success"], half["success"]) == (0.0, 0.0)
    assert blue["posture_error_fraction"] < 0.15 < half["posture_error_fraction"]
    for one, numbers in zip(asked, (red, blue, half), strict=True):
        expected = reference_errors(SPEC, SEED, one, numbers["duration_s"], q_start)
        assert {key: numbers[key] for key in expected} == expected
    assert all(type(value) is float and np.isfinite(value) for value in blue.values())


def test_a_task_of_no_time_has_no_numbers():
    with pytest.raises(DriverError, match="nothing was measured"):
        TaskMeter(Asked("red"), 0.0, SPEC.rest).numbers(SPEC, SEED)
