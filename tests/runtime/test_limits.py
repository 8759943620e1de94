"""What follows from joint limits."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.runtime.guard import Guard
from unichunk.runtime.limits import JointLimits


def test_the_slowest_joint_decides_how_long_stopping_takes() -> None:
    limits = JointLimits.of("ab", [-1, -1], [1, 1], [1.0, 3.0], [10.0, 2.0], [1000.0, 40.0])
    assert limits.stopping_s == pytest.approx(3.0 / 2.0 + 2 * 2.0 / 40.0)
    assert JointLimits.of("a", [-1], [1], [3.0], [1.5]).stopping_s == pytest.approx(2.0)


@pytest.mark.parametrize("name", embodiment_names())
def test_a_guard_at_full_speed_rests_in_that_time(name: str) -> None:
    spec = load_spec(name)
    limits = spec.limits
    guard = Guard(limits, spec.command_hz)
    guard.reset(limits.lower + 0.05 * (limits.upper - limits.lower))
    fastest = np.zeros(limits.size)
    took = 0
    for step in range(int(2 * limits.stopping_s * spec.command_hz)):
        guard.filter(limits.upper)
        fastest = np.maximum(fastest, guard.velocity)
        if step % 40 == 0:
            took = max(took, _steps_to_rest(guard, limits, spec.command_hz))
    assert (fastest > 0.9 * limits.velocity).any()
    assert took / spec.command_hz <= limits.stopping_s + 3 / spec.command_hz


def _steps_to_rest(moving: Guard, limits: JointLimits, command_hz: int) -> int:
    guard = Guard(limits, command_hz)
    guard.reset(moving.command)
    guard._velocity[:], guard._acceleration[:] = moving.velocity, moving._acceleration
    steps = 0
    while not guard.resting:
        guard.brake()
        steps += 1
    return steps
