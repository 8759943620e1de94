"""Whatever bytes arrive: a value or a `WireError`, and never more memory than they are worth."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.one_line import refused_at_most
from tests.wire.peers import groot_pack, openpi_pack
from tests.wire.values import ARRAYS, NUMBERS, trees
from unichunk.runtime.errors import ObservationError, UnichunkError
from unichunk.server.wire import groot, openpi
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.groot_action import read_action_request
from unichunk.server.wire.npy import read_npy

if TYPE_CHECKING:
    from collections.abc import Callable

OBSERVATION = {"video": {"a": np.zeros((1, 1, 2, 2, 3), np.uint8)}, "language": {"task": [["go"]]}}
SEEDS = [
    openpi_pack({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.float32(2), "prompt": "go"}),
    groot_pack({"endpoint": "get_action", "data": {"observation": OBSERVATION, "options": None}}, "C"),
    groot_pack({"endpoint": "get_action", "data": {"video.a": np.zeros((1, 2, 2, 3), np.uint8)}}, "A"),
]


def groot_request(data: bytes) -> object:
    return groot.read_envelope(data)


def action_request(data: bytes) -> object:
    try:
        return read_action_request(data)
    except ObservationError as error:
        raise WireError(str(error)) from None


def npy(data: bytes) -> object:
    return read_npy(memoryview(data))


READERS = [openpi.unpack, openpi.endpoint_of, groot.unpack, groot_request, action_request, npy]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real message with a few bytes changed, cut out or put in, or no message at all."""
    data = bytearray(draw(st.one_of(st.sampled_from(SEEDS), st.binary(max_size=80))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        replaced = draw(st.integers(0, 6))
        data[at : at + replaced] = draw(st.binary(max_size=6))
    return bytes(data)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged())
def test_any_bytes(reader: Callable[[bytes], object], data: bytes) -> None:
    with refused_at_most(WireError):
        reader(data)


@settings(max_examples=60, deadline=None)
@given(trees(st.one_of(NUMBERS, ARRAYS)))
def test_messages_of_openpi_are_read_or_refused_by_the_readers_of_groot(value: Any) -> None:
    for reader in READERS:
        with refused_at_most(UnichunkError):
            reader(openpi_pack(value))


LARGE = 4_000_000
MOST_FOR_ANY = 12_000_000
"""What 65,536 values take, each in an empty list of its own."""

BOMBS = {
    "list": b"\xdd\xff\xff\xff\xff" + b"\x90" * LARGE,
    "lists": b"\xdc\xff\xff" + (b"\x90" * 0xFFFF) + bytes(LARGE),
    "map": b"\xdf\x7f\xff\xff\xff" + b"\xa1a\x80" * 1000,
    "text": b"\xdb" + LARGE.to_bytes(4, "big") + "ä".encode() * (LARGE // 2),
    "binary": b"\xc6\xff\xff\xff\xff" + b"a" * 1000,
    "array": openpi_pack({b"__ndarray__": True, b"data": b"a" * 1000, b"dtype": "<f8", b"shape": [2**20, 2**20]}),
    "wide text": openpi_pack({b"__ndarray__": True, b"data": b"a" * 100, b"dtype": "<U999999", b"shape": [1]}),
    "npy": b"\x93NUMPY\x01\x00\xf6\x00"
    + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999,), }".ljust(246),
    "npy header": b"\x93NUMPY\x02\x00\xff\xff\xff\x00" + b"(" * LARGE,
}


@pytest.mark.parametrize("name", BOMBS)
def test_nothing_is_allocated_for_what_is_not_there(name: str) -> None:
    data = BOMBS[name]
    for reader in READERS:
        tracemalloc.start()
        try:
            with refused_at_most(WireError):
                reader(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < min(MOST_FOR_ANY, 3 * len(data) + 300_000), reader.__name__


def test_an_observation_costs_little_beside_its_bytes() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    request = {"video": {"a": image[None, None], "b": image[None, None]}, "state": {"s": np.zeros((1, 1, 7))}}
    messages = {
        openpi.unpack: openpi_pack({"a": image, "b": image, "state": np.zeros(7), "prompt": "go"}),
        groot.unpack: groot_pack({"data": {"observation": request}}, "C"),
        read_action_request: groot_pack({"data": {"observation": request}}, "B"),
    }
    for reader, data in messages.items():
        reader(data)
        tracemalloc.start()
        kept = reader(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept is not None
        assert peak < 20_000
