"""What a message costs whoever skips over it is known before it is skipped over."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.server.serving.message_cost import MOST_VALUES, SHORT, is_dear

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=300)),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(st.text(max_size=4), inner, max_size=20)),
    max_leaves=60,
)


def count(value: Any) -> int:
    if isinstance(value, list):
        return 1 + sum(map(count, value))
    if isinstance(value, dict):
        return 1 + sum(1 + count(inner) for inner in value.values())
    return 1


@settings(deadline=None)
@given(VALUES, st.integers(1, 80))
def test_values_are_counted_as_they_are(value: Any, most: int) -> None:
    assert is_dear(msgpack.packb(value), short=-1, most=most) == (count(value) > most)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_anything_may_come(message: bytes) -> None:
    is_dear(message, short=-1)
    is_dear(memoryview(message), short=-1)


@pytest.mark.parametrize(
    "junk",
    [
        b"\xdd" + struct.pack(">I", 2**20) + b"\0" * 2**20,
        b"\xdf" + struct.pack(">I", 2**20) + b"\xa0\x01" * 2**20,
        (b"\xdc" + struct.pack(">H", 1000) + b"\x90" * 999) * 400,
        b"\x9f" * 2**20,
        b"\xdd" + struct.pack(">I", 2**32 - 1) + b"\xc0" * 2**19,
    ],
    ids=["list", "map", "lists", "deep", "promise"],
)
def test_junk_is_dear_and_stays_so_within_a_message(junk: bytes) -> None:
    assert is_dear(junk)
    assert is_dear(b"\x82\xa1x" + junk + b"\xa1y\x01")


@pytest.mark.parametrize("pack", [msgspec.msgpack.encode, msgpack.packb])
def test_observations_are_not(pack: Any) -> None:
    view = np.zeros((480, 640, 3), np.uint8).tobytes()
    views = {f"observation/image_{i}": {b"data": view, b"shape": [480, 640, 3]} for i in range(8)}
    assert not is_dear(pack({**views, "state": [0.5] * 100, "prompt": "x" * 5000}))
    assert not is_dear(pack([0] * (SHORT - 5)))
    assert is_dear(pack([0] * (SHORT + 1)))
    assert is_dear(pack([b"x" * 100] * MOST_VALUES))
    assert not is_dear(pack([b"x" * 100] * (MOST_VALUES - 1)))
