"""What is said of seams."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.sim.seams import seams

HZ = 20


def test_a_uniform_motion_has_no_kinks_whoever_it_comes_from():
    rows = np.outer(np.arange(12), [0.01, -0.02])
    smooth = seams(rows, np.repeat([0, 1, 2], 4), HZ)
    assert smooth.count == 2
    assert smooth.largest_step == pytest.approx(0.02)
    assert (smooth.kink, smooth.kink_inside, smooth.roughness) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_a_jump_where_a_chunk_takes_over_is_the_seams_alone():
    rows = np.outer(np.arange(12), [0.01, 0.0])
    rows[8:, 1] += 0.3
    jumped = seams(rows, np.repeat([0, 1, 2], 4), HZ)
    assert jumped.largest_step == pytest.approx(0.3)
    assert jumped.kink == pytest.approx(0.15)  # of two seams one jumps
    assert jumped.kink_inside == pytest.approx(0.0, abs=1e-12)
    # There and back in two of ten second differences, of one joint of two.
    assert jumped.roughness == pytest.approx(HZ**2 * np.sqrt(2 * 0.3**2 / 20))


def test_a_jump_inside_a_chunk_is_not_the_seams():
    rows = np.zeros((12, 1))
    rows[6:] = 0.3
    jumped = seams(rows, np.repeat([0, 1, 2], 4), HZ)
    assert (jumped.largest_step, jumped.kink) == (0.0, 0.0)
    assert jumped.kink_inside > 0.0


def test_to_begin_is_no_seam():
    rows = np.zeros((8, 1))
    rows[4:] = 0.3
    begun = seams(rows, np.array([-1, -1, -1, -1, 0, 0, 0, 0]), HZ)
    assert (begun.count, begun.largest_step, begun.kink) == (0, 0.0, 0.0)


def test_no_chunks_no_seams():
    still = seams(np.zeros((2, 3)), np.array([-1, -1]), HZ)
    assert (still.count, still.largest_step, still.kink, still.kink_inside, still.roughness) == (0, 0, 0, 0, 0)
