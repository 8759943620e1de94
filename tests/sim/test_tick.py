"""Ticks in virtual time, where the action rate does not divide the command rate, too."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Twin
from unichunk.runtime.ticks import Timebase


@pytest.mark.parametrize("name", ["so101", "fr3_inspire"])
def test_ticks_have_the_samples_that_the_runtime_gives_them(name):
    spec = load_spec(name)
    timebase = Timebase(0, spec.action_hz, spec.command_hz)
    twin = Twin(spec)
    rows = np.repeat(spec.rest[None], 3, axis=0)
    step = 0
    for tick in range(4):
        for sample in run_tick(twin, rows, tick):
            assert timebase.tick_of_step(step) == tick
            assert sample == 0 or timebase.tick_of_step(step - 1) == tick
            step += 1
    assert twin.time == pytest.approx(step / spec.command_hz)
    assert timebase.tick_of_step(step) == 4


def test_commands_follow_the_spline_of_the_rows_and_stay_between_them():
    spec = load_spec("fr3_inspire")
    twin = Twin(spec)
    rows = spec.rest + np.array([0.0, 0.02, 0.05])[:, None]
    commands = [twin.command for _ in run_tick(twin, rows, 7)]
    assert (np.diff(commands, axis=0) > 0.0).all()
    assert (commands[0] > rows[0]).all()
    assert commands[-1] == pytest.approx(rows[1:].mean(axis=0), abs=1e-3)
