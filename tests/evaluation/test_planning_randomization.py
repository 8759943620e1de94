"""The three ways to draw an order: K of each cell, balanced where they promise it, and even otherwise."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.even import is_even
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.planning.randomization import Cell, draw_schedule
from unichunk.server.evaluation.planning.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

methods = st.sampled_from(Randomization)
sizes = st.integers(1, 5)
keys = st.binary(min_size=32, max_size=32)


def drawn(method: Randomization, layouts: int, policies: int, replicates: int, key: bytes) -> list[Cell]:
    return draw_schedule(method, layouts, policies, replicates, Stream(key, "schedule"))


def many(method: Randomization, layouts: int, policies: int, replicates: int, count: int) -> Iterator[list[Cell]]:
    return (drawn(method, layouts, policies, replicates, number.to_bytes(32, "big")) for number in range(count))


def cells(layouts: int, policies: int) -> list[Cell]:
    return [Cell(layout, policy) for layout in range(layouts) for policy in range(policies)]


@given(methods, sizes, sizes, st.integers(1, 8), keys)
def test_each_cell_comes_exactly_k_times_and_the_key_decides_the_order(
    method: Randomization, layouts: int, policies: int, replicates: int, key: bytes
) -> None:
    schedule = drawn(method, layouts, policies, replicates, key)
    assert Counter(schedule) == dict.fromkeys(cells(layouts, policies), replicates)
    assert schedule == drawn(method, layouts, policies, replicates, key)


@given(st.sampled_from([Randomization.REPLICATE_BLOCKS, Randomization.LAYOUT_GROUPED]), sizes, sizes, sizes, keys)
def test_each_replicate_has_each_cell_once(
    method: Randomization, layouts: int, policies: int, replicates: int, key: bytes
) -> None:
    schedule = drawn(method, layouts, policies, replicates, key)
    size = layouts * policies
    for begin in range(0, len(schedule), size):
        assert sorted(schedule[begin : begin + size]) == cells(layouts, policies)
    for stop in range(len(schedule) + 1):
        counts = Counter(schedule[:stop])
        assert max(counts.values(), default=0) - min(counts[cell] for cell in cells(layouts, policies)) <= 1


@given(sizes, sizes, sizes, keys)
def test_a_grouped_layout_is_set_up_once_in_a_replicate(
    layouts: int, policies: int, replicates: int, key: bytes
) -> None:
    schedule = drawn(Randomization.LAYOUT_GROUPED, layouts, policies, replicates, key)
    for begin in range(0, len(schedule), policies):
        group = schedule[begin : begin + policies]
        assert len({cell.layout for cell in group}) == 1
        assert {cell.policy for cell in group} == set(range(policies))


@pytest.mark.parametrize("method", Randomization)
def test_every_cell_may_come_first_and_every_one_last(method: Randomization) -> None:
    schedules = list(many(method, 3, 2, 2, 1500))
    assert is_even((schedule[0] for schedule in schedules), cells(3, 2))
    assert is_even((schedule[-1] for schedule in schedules), cells(3, 2))


def test_all_orders_of_a_block_are_even_and_blocks_are_independent() -> None:
    schedules = [tuple(schedule) for schedule in many(Randomization.REPLICATE_BLOCKS, 2, 2, 2, 2500)]
    assert is_even((schedule[:4] for schedule in schedules), itertools.permutations(cells(2, 2)))
    ends = itertools.product(cells(2, 2), repeat=2)
    assert is_even(((schedule[3], schedule[4]) for schedule in schedules), ends)


def test_all_orders_of_groups_and_within_them_are_even() -> None:
    schedules = list(many(Randomization.LAYOUT_GROUPED, 3, 3, 1, 2500))
    layouts = (tuple(cell.layout for cell in schedule[::3]) for schedule in schedules)
    assert is_even(layouts, itertools.permutations(range(3)))
    policies = ((tuple(cell.policy for cell in schedule[:3]), schedule[5].policy) for schedule in schedules)
    assert is_even(policies, itertools.product(itertools.permutations(range(3)), range(3)))


def test_a_draw_is_even_among_what_is_not_complete() -> None:
    # K = 1, two layouts, three policies: after (0, a) the layout is 0 or 1 alike, then the policy among the rest.
    second = [
        schedule[1] for schedule in many(Randomization.INDEPENDENT_DRAW, 2, 3, 1, 6000) if schedule[0] == Cell(0, 0)
    ]
    assert is_even((cell.layout for cell in second), range(2))
    assert is_even((cell.policy for cell in second if cell.layout == 0), (1, 2))
    assert is_even((cell.policy for cell in second if cell.layout == 1), range(3))


def test_draws_are_independent_until_a_cell_is_complete() -> None:
    pairs = ((schedule[0], schedule[1]) for schedule in many(Randomization.INDEPENDENT_DRAW, 2, 2, 3, 2500))
    assert is_even(pairs, itertools.product(cells(2, 2), repeat=2))
