"""Position tables: rotary, flow time, resized grids."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from tests.compile.reference_model import bicubic
from unichunk.runtime.compile.positions import resized_grid, rotary_tables, time_sinusoids
from unichunk.runtime.compile.sequence import TokenSequence, causal_mask


@pytest.mark.parametrize(("old", "new"), [(4, 3), (4, 6), (32, 16), (5, 2), (2, 7), (1, 3)])
def test_grids_are_resized_as_pixel_by_pixel(old: int, new: int) -> None:
    table = np.random.default_rng(old * 100 + new).normal(size=(1 + old * old, 3)).astype(np.float32)
    resized = resized_grid(table, new)
    assert np.array_equal(resized[0], table[0])
    expected = bicubic(table[1:].astype(float).reshape(old, old, 3), new).reshape(-1, 3)
    np.testing.assert_allclose(resized[1:], expected, atol=1e-6)


def test_a_grid_of_the_right_size_stays_as_it_is() -> None:
    table = np.random.default_rng(0).normal(size=(17, 3)).astype(np.float32)
    assert np.array_equal(resized_grid(table, 4), table)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="compares with torch")
@pytest.mark.parametrize(("old", "new"), [(4, 3), (32, 16), (4, 9)])
def test_grids_are_resized_as_torch_does(old: int, new: int) -> None:
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(old).normal(size=(1 + old * old, 5)).astype(np.float32)
    picture = torch.from_numpy(table[1:].reshape(1, old, old, 5)).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(picture, size=(new, new), mode="bicubic", align_corners=False)
    expected = resized.permute(0, 2, 3, 1).reshape(-1, 5).numpy()
    np.testing.assert_allclose(resized_grid(table, new)[1:], expected, atol=1e-5)


def test_rotary_tables_turn_pairs_by_their_angle() -> None:
    cos, sin = rotary_tables([0, 1, 500], 8, 1e4)
    assert cos.shape == sin.shape == (3, 8)
    assert (cos[0] == 1).all()
    assert (sin[0] == 0).all()
    for pair in range(4):
        angle = 1e4 ** (-2 * pair / 8)
        np.testing.assert_allclose([cos[1, pair], cos[1, pair + 4]], math.cos(angle), rtol=1e-6)
        np.testing.assert_allclose(sin[2, pair], math.sin(500 * angle), atol=3e-5)


def test_times_are_sinusoids_of_buckets() -> None:
    found = time_sinusoids([0, 250, 1000], 6)
    assert found[0].tolist() == [0, 0, 0, 1, 1, 1]
    expected = [250 * math.exp(-math.log(10000.0) * i / 3) for i in range(3)]
    np.testing.assert_allclose(found[1], [*map(math.sin, expected), *map(math.cos, expected)], atol=2e-5)


def test_every_position_is_taken_once() -> None:
    sequence = TokenSequence((1, 2, 3), 2, 4, (5, 6), (7,), 10, 8)
    assert sequence.state_position == 13
    assert sequence.text_position == 15
    assert sequence.prefix == 25
    assert sequence.tokens == 33
    assert sorted(sequence.key_positions) == list(range(25))
    assert sequence.key_positions[-1] == 13
    mask = causal_mask(np.array([2, 0]), np.array([0, 2, 1, 3]))
    assert (mask == 0).tolist() == [[True, True, True, False], [True, False, False, False]]
