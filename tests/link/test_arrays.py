"""Arrays on the wire: every allowed one comes back as it was, nothing else travels, and bytes never do harm."""

from __future__ import annotations

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from tests.one_line import refused
from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.arrays import ARRAY_CODE, MAX_ARRAY_BYTES, pack_array, unpack_array

ALLOWED = ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]
DTYPES = st.sampled_from([*ALLOWED, ">i2", ">u4", ">i8", ">f2", ">f4", ">f8"]).map(np.dtype)
ARRAYS = DTYPES.flatmap(
    lambda dtype: nps.arrays(dtype, nps.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=4))
)


def there_and_back(array: np.ndarray) -> np.ndarray:
    ext = pack_array(array)
    return unpack_array(ext.code, memoryview(bytes(ext.data)))


@given(ARRAYS)
def test_round_trip(array: np.ndarray) -> None:
    back = there_and_back(array)
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.shape == array.shape
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")
    assert back.flags.aligned
    assert not back.flags.writeable


@pytest.mark.parametrize("shape", [(3, 4), (480, 640, 3)])
def test_memory_order_does_not_matter(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for view in (array.T, array[::-1], array[:, ::2], np.asfortranarray(array)):
        assert np.array_equal(there_and_back(view), view)


@pytest.mark.parametrize(
    "array",
    [
        np.array([None, {}]),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.zeros(2, "f4,i4"),
        np.zeros(2, "V3"),
        np.zeros(2, complex),
        np.zeros(2, np.longdouble),
        np.zeros(2, "M8[ns]"),
        np.zeros((1,) * 9),
        np.broadcast_to(np.uint8(0), (MAX_ARRAY_BYTES + 1,)),
        object(),
        {1, 2},
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_everything_else_stays_here(array: object) -> None:
    with refused(MessageError, "cannot send", "expected"):
        pack_array(array)


def packed(code: bytes = b"<f8", shape: tuple[int, ...] = (2,), body: bytes = bytes(16)) -> bytes:
    return code + struct.pack(f"<B{len(shape)}I", len(shape), *shape) + body


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected a header"),
        (b"<f8", "expected a header"),
        (packed(b"|O8"), "array of type"),
        (packed(b"<c8"), "array of type"),
        (packed(b">f8"), "array of type"),
        (packed(shape=(3,)), "expected 24 bytes"),
        (packed(shape=(2, 2)), "expected 32 bytes"),
        (packed(body=bytes(17)), "expected 16 bytes"),
        (packed(shape=(2**32 - 1,) * 8), "expected"),
        (packed(shape=(0, 2**32 - 1)), "expected 0 bytes"),
        (b"<f8\x09" + bytes(100), "array of 9 dimensions"),
        (b"<f8\xff", "array of 255 dimensions"),
        (b"<f8\x02\x00\x00", "array of 2 dimensions in 6 bytes"),
    ],
)
def test_contradictions_are_refused(data: bytes, words: str) -> None:
    with refused(MessageError, words):
        unpack_array(ARRAY_CODE, memoryview(data))


def test_unknown_extensions_are_refused() -> None:
    with refused(MessageError, "extension 2: expected 1"):
        unpack_array(2, memoryview(packed()))


def test_booleans_are_0_or_1_whatever_arrives() -> None:
    flags = unpack_array(ARRAY_CODE, memoryview(packed(b"|b1", (3,), b"\x00\x01\xfe")))
    assert flags.view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("code", [b"|b1", b"|i1", b"<f8"])
def test_an_array_without_elements_has_possible_dimensions_too(code: bytes) -> None:
    with refused(MessageError, "expected dimensions that memory can hold"):
        unpack_array(ARRAY_CODE, memoryview(packed(code, (0, 2**31, 2**31, 2**31), b"")))
    assert unpack_array(ARRAY_CODE, memoryview(packed(code, (0, 2**20), b""))).shape == (0, 2**20)


@given(st.binary(max_size=200))
def test_bytes_are_an_array_or_refused(data: bytes) -> None:
    try:
        array = unpack_array(ARRAY_CODE, memoryview(data))
    except MessageError:
        return
    assert pack_array(array) == msgspec.msgpack.Ext(ARRAY_CODE, data) or array.dtype == np.bool_


@given(ARRAYS, st.data())
def test_flipped_and_missing_bytes_are_an_array_or_refused(array: np.ndarray, data: st.DataObject) -> None:
    whole = bytearray(pack_array(array).data)
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        back = unpack_array(ARRAY_CODE, memoryview(cut))
    except MessageError:
        return
    assert back.nbytes <= len(cut)
