"""The plan for a whole chunk."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kinematics.limbs import ARMS
from unichunk.kinematics.inverse.foresight import plan_ahead
from unichunk.kinematics.inverse.limb_rows import LimbTargets
from unichunk.kinematics.inverse.limb_task import LimbTask, Tolerance


@pytest.mark.parametrize("name", ["fr3", "g1_left", "rm75"])
def test_a_jump_of_the_elbow_is_spread_over_the_chunk(name) -> None:
    """The hand is to stay; half-way through the first plan the elbow jumps."""
    limb = ARMS[name]
    columns = limb.columns
    start = limb.random(np.random.default_rng(3), 0.3)
    turned = start.copy()
    turned[columns[2]] += 0.4
    target = limb.poses(start)
    elsewhere = limb.solver().solve(target[None], turned).q[0]
    first = np.repeat(start[None, columns], 16, axis=0)
    first[8:] = elsewhere[columns]
    jump = np.abs(first[8] - first[7]).max()
    assert jump > 0.1
    task = LimbTask(limb.model, limb.goals, columns, 0.2, Tolerance(1e-3, 1e-2))
    limits = limb.model.lowerPositionLimit[columns], limb.model.upperPositionLimit[columns]
    asked = LimbTargets(np.repeat(target[None], 16, axis=0), np.ones(16, dtype=np.bool_), start)
    plan = plan_ahead(task, asked, limits, first, np.full(len(columns), jump / 4))
    assert np.abs(np.diff(plan, axis=0, prepend=start[None, columns])).max() < jump / 4
    for row in plan:
        q = start.copy()
        q[columns] = row
        distances, angles = limb.errors(q, target)
        assert distances[0] < 5e-3
        assert angles[0] < 5e-2
