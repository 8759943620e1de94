"""Where the blocks go: at random, never touching, and no colour has a place of its own."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.sim.block_paths import BLOCKS, CLEARANCE, REGION_X, REGION_Y, SPEED, BlockPaths


def test_paths_are_functions_of_seed_and_time_however_they_are_asked():
    times = np.linspace(0.0, 120.0, 500)
    at_once = {block: BlockPaths(5).position(block, times) for block in BLOCKS}
    one_by_one, late_first = BlockPaths(5), BlockPaths(5)
    late_first.position("blue", 500.0)
    for block in BLOCKS:
        np.testing.assert_array_equal(at_once[block], [one_by_one.position(block, float(t)) for t in times])
        np.testing.assert_array_equal(at_once[block], late_first.position(block, times))
        assert np.abs(BlockPaths(6).position(block, times) - at_once[block]).max() > 0.05


@pytest.mark.parametrize("seed", range(8))
def test_blocks_stay_in_their_region_below_their_speed_and_apart(seed):
    times = np.arange(0.0, 300.0, 0.02)
    paths = BlockPaths(seed)
    red, blue = (paths.position(block, times) for block in BLOCKS)
    for position in (red, blue):
        assert (position >= [REGION_X[0], REGION_Y[0]]).all()
        assert (position <= [REGION_X[1], REGION_Y[1]]).all()
        assert position.min(axis=0) == pytest.approx([REGION_X[0], REGION_Y[0]], abs=0.04)
        assert position.max(axis=0) == pytest.approx([REGION_X[1], REGION_Y[1]], abs=0.04)
        speed = np.linalg.norm(np.diff(position, axis=0), axis=1) / 0.02
        assert speed.max() <= SPEED[1] + 1e-9
        assert 0.02 < (speed < 1e-6).mean() < 0.4  # it pauses now and then
    distance = np.linalg.norm(red - blue, axis=1)
    assert distance.min() >= CLEARANCE - 1e-9
    # They do meet: keeping apart is not won by keeping to two halves of the table.
    assert distance.min() < CLEARANCE + 0.01
    assert (np.diff(np.sign(red[:, 1] - blue[:, 1])) != 0).sum() >= 5


def test_neither_colour_prefers_a_side():
    starts = np.array([[BlockPaths(seed).position(block, 0.0) for block in BLOCKS] for seed in range(400)])
    times = np.array([20.0, 50.0])
    later = np.array(
        [[BlockPaths(seed).position(block, times).mean(axis=0) for block in BLOCKS] for seed in range(100)]
    )
    for positions in (starts, later):
        difference = positions[:, 0] - positions[:, 1]
        error = difference.std(axis=0) / np.sqrt(len(difference))
        assert (np.abs(difference.mean(axis=0)) < 3.5 * error).all()
        assert abs((difference[:, 1] > 0).mean() - 0.5) < 0.15
