"""Where the blocks go: at random, never touching, and no colour has a place of its own."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.block_paths import BLOCKS, BlockPaths
from unichunk.embodiments.twin_checks import LARGEST_CLEARANCE

TASK = load_spec("so101").twin.task
SMALL = load_spec("g1_o6").twin.task


def test_paths_are_functions_of_seed_and_time_however_they_are_asked():
    times = np.linspace(0.0, 120.0, 500)
    at_once = {block: BlockPaths(5, TASK).position(block, times) for block in BLOCKS}
    one_by_one, late_first = BlockPaths(5, TASK), BlockPaths(5, TASK)
    late_first.position("blue", 500.0)
    for block in BLOCKS:
        np.testing.assert_array_equal(at_once[block], [one_by_one.position(block, float(t)) for t in times])
        np.testing.assert_array_equal(at_once[block], late_first.position(block, times))
        assert np.abs(BlockPaths(6, TASK).position(block, times) - at_once[block]).max() > 0.05


@pytest.mark.parametrize("task", [TASK, SMALL])
@pytest.mark.parametrize("seed", range(5))
def test_blocks_stay_in_their_region_below_their_speed_and_apart(seed, task):
    times = np.arange(0.0, 300.0, 0.02)
    paths = BlockPaths(seed, task)
    red, blue = (paths.position(block, times) for block in BLOCKS)
    for position in (red, blue):
        assert (position >= [task.region_x[0], task.region_y[0]]).all()
        assert (position <= [task.region_x[1], task.region_y[1]]).all()
        assert position.min(axis=0) == pytest.approx([task.region_x[0], task.region_y[0]], abs=0.04)
        assert position.max(axis=0) == pytest.approx([task.region_x[1], task.region_y[1]], abs=0.04)
        speed = np.linalg.norm(np.diff(position, axis=0), axis=1) / 0.02
        assert speed.max() <= task.speed[1] + 1e-9
        assert 0.02 < (speed < 1e-6).mean() < 0.5  # it pauses now and then
    distance = np.linalg.norm(red - blue, axis=1)
    assert distance.min() >= task.clearance - 1e-9
    # They do meet: keeping apart is not won by keeping to two halves of the table.
    assert distance.min() < task.clearance + 0.01
    assert (np.diff(np.sign(red[:, 1] - blue[:, 1])) != 0).sum() >= 5


def test_neither_colour_prefers_a_side():
    starts = np.array([[BlockPaths(seed, TASK).position(block, 0.0) for block in BLOCKS] for seed in range(400)])
    times = np.array([20.0, 50.0])
    later = np.array(
        [[BlockPaths(seed, TASK).position(block, times).mean(axis=0) for block in BLOCKS] for seed in range(100)]
    )
    for positions in (starts, later):
        difference = positions[:, 0] - positions[:, 1]
        error = difference.std(axis=0) / np.sqrt(len(difference))
        assert (np.abs(difference.mean(axis=0)) < 3.5 * error).all()
        assert abs((difference[:, 1] > 0).mean() - 0.5) < 0.15


def test_the_paths_of_the_so101_are_those_that_its_policies_were_trained_and_measured_on():
    red = BlockPaths(201, TASK).position("red", np.array([0.0, 10.0, 30.0]))
    np.testing.assert_allclose(
        red, [[0.18628679, 0.10472356], [0.27670472, 0.08624675], [0.21882231, 0.10702411]], atol=1e-8
    )


def test_a_region_without_room_for_two_blocks_is_refused():
    with refused(SpecError, "embodiment.twin.task.clearance: expected less", "0.4 m apart"):
        BlockPaths(0, msgspec.structs.replace(TASK, clearance=0.4))


def test_the_largest_clearance_leaves_room_wherever_the_first_block_is():
    square = msgspec.structs.replace(
        SMALL, region_x=(-0.5, 0.5), region_y=(-0.5, 0.5), clearance=LARGEST_CLEARANCE * np.sqrt(2)
    )
    for seed in range(200):
        paths = BlockPaths(seed, square)
        red, blue = (paths.position(block, 0.0) for block in BLOCKS)
        assert np.linalg.norm(red - blue) >= square.clearance
        assert paths._apart_from((0.0, 0.0)) is not None
