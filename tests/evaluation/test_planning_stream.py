"""Random numbers from a key: the same for whoever has it, even, and independent of each other."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.even import is_even
from tests.one_line import refused
from unichunk.server.evaluation.planning.stream import Stream

KEY = bytes(range(32))
keys = st.binary(min_size=32, max_size=32)


def test_words_are_hmac_sha256_of_purpose_and_counter() -> None:
    stream = Stream(KEY, "schedule")
    drawn = [stream.below(1 << 64) for _ in range(8)]
    prefix = (8).to_bytes(4, "big") + b"schedule"
    blocks = [hmac.new(KEY, prefix + n.to_bytes(8, "big"), hashlib.sha256).digest() for n in range(2)]
    whole = b"".join(blocks)
    assert drawn == [int.from_bytes(whole[i : i + 8], "big") for i in range(0, 64, 8)]


@given(keys, st.lists(st.integers(1, 1 << 64), max_size=30))
def test_the_same_key_draws_the_same_and_every_number_is_below_its_bound(key: bytes, bounds: list[int]) -> None:
    one, other = Stream(key, "a"), Stream(key, "a")
    drawn = [one.below(bound) for bound in bounds]
    assert drawn == [other.below(bound) for bound in bounds]
    assert all(0 <= number < bound for number, bound in zip(drawn, bounds, strict=True))


@given(keys, st.lists(st.integers(), max_size=30))
def test_a_shuffle_keeps_everything(key: bytes, items: list[int]) -> None:
    before = list(items)
    shuffled = Stream(key, "a").shuffled(items)
    assert Counter(shuffled) == Counter(before)
    assert items == before


def test_purposes_and_keys_are_independent() -> None:
    def words(key: bytes, purpose: str) -> list[int]:
        stream = Stream(key, purpose)
        return [stream.below(1 << 64) for _ in range(8)]

    streams = [words(KEY, "a"), words(KEY, "b"), words(KEY, ""), words(KEY[::-1], "a"), words(KEY, "a\0\0\0\0\0\0\0\0")]
    assert len(set(itertools.chain.from_iterable(streams))) == 8 * len(streams)


@pytest.mark.parametrize("bound", [2, 3, 7, 10, 24, 100])
def test_numbers_are_even(bound: int) -> None:
    stream = Stream(KEY, f"even {bound}")
    assert is_even((stream.below(bound) for _ in range(6000)), range(bound))


def test_pairs_of_numbers_are_even() -> None:
    stream = Stream(KEY, "pairs")
    drawn = [stream.below(6) for _ in range(8000)]
    assert is_even(zip(drawn[::2], drawn[1::2], strict=True), itertools.product(range(6), repeat=2))


def test_orders_are_even() -> None:
    stream = Stream(KEY, "orders")
    assert is_even((stream.shuffled("abcd") for _ in range(4000)), itertools.permutations("abcd"))


class Scripted(Stream):
    """Draws the words that a test says."""

    def __init__(self, *words: int) -> None:
        super().__init__(KEY, "")
        self._script = list(words)

    def _word(self) -> int:
        return self._script.pop(0)


def test_words_that_would_favour_small_numbers_are_thrown_away() -> None:
    # 2^64 = 3 * 6148914691236517205 + 1: the last word would be one 0 more.
    assert Scripted((1 << 64) - 1, 5).below(3) == 2
    assert Scripted((1 << 64) - 2).below(3) == 2
    assert Scripted((1 << 64) - 1).below(1 << 64) == (1 << 64) - 1
    assert Scripted((1 << 64) - 1).below(2) == 1
    half = (1 << 63) + 1
    assert Scripted((1 << 64) - 1, half, 7).below(half) == 7


def test_what_cannot_be_drawn_is_refused() -> None:
    with refused(ValueError, "32 bytes", "31"):
        Stream(bytes(31), "a")
    for bound in (0, -1, (1 << 64) + 1):
        with refused(ValueError, str(bound)):
            Stream(KEY, "a").below(bound)
    with refused(ValueError, "0"):
        Stream(KEY, "a").choice([])
