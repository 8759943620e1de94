"""The task's numbers: of the block that was named, with references that follow the same one."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.task_meter import TaskMeter
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.reference import reference_errors
from unichunk.embodiments.sim.twin import Twin
from unichunk.embodiments.spec import load_spec

SPEC = load_spec("so101")
SEED = 5


def test_the_numbers_are_of_the_block_that_was_named():
    twin = Twin(SPEC, SEED)
    meters = {block: TaskMeter(block, twin.time, twin.q) for block in BLOCKS}
    q_start = twin.q
    for _ in range(200):
        twin.set_command(twin.task.goal("blue", twin.time))
        twin.advance(5)
        for meter in meters.values():
            meter.add(twin.truth())
    red, blue = (meters[block].numbers(SPEC, SEED) for block in BLOCKS)
    assert blue["policy_error_m"] < 0.04 < blue["other_error_m"]
    assert (red["policy_error_m"], red["other_error_m"]) == (blue["other_error_m"], blue["policy_error_m"])
    assert red["duration_s"] == pytest.approx(2.0)
    for block, numbers in (("red", red), ("blue", blue)):
        expected = reference_errors(SPEC, SEED, block, numbers["duration_s"], q_start)
        assert {key: numbers[key] for key in expected} == expected
    assert all(type(value) is float and np.isfinite(value) for value in blue.values())


def test_a_task_of_no_time_has_no_numbers():
    with pytest.raises(DriverError, match="nothing was measured"):
        TaskMeter("red", 0.0, SPEC.rest).numbers(SPEC, SEED)
