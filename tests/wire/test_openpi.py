"""openpi's messages, against its own packer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from tests.wire.peers import openpi_pack, openpi_unpack, same
from tests.wire.values import ARRAYS, NUMBERS, SCALARS, trees
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import endpoint_of, pack, unpack

GOLDEN = bytes.fromhex(
    "81a16184c40b5f5f6e6461727261795f5fc3c40464617461c408000000000000803fc4056474797065a33c6634c40573686170659102"
)


def droid_observation() -> dict[str, object]:
    random = np.random.default_rng(0)
    return {
        "observation/exterior_image_1_left": random.integers(0, 255, (224, 224, 3), dtype=np.uint8),
        "observation/wrist_image_left": random.integers(0, 255, (224, 224, 3), dtype=np.uint8),
        "observation/joint_position": np.arange(7.0),
        "observation/gripper_position": np.ones(1, np.float32),
        "prompt": "pick up the cup",
    }


def test_golden() -> None:
    value = {"a": np.array([0, 1], np.float32)}
    assert pack(value) == GOLDEN
    assert same(unpack(GOLDEN), value)
    assert pack({}) == b"\x80"
    assert unpack(b"\x80") == {}


@settings(max_examples=150, deadline=None)
@given(trees(st.one_of(NUMBERS, ARRAYS, SCALARS)))
def test_every_value_crosses_as_with_openpis_own_packer(value: object) -> None:
    packed = openpi_pack(value)
    assert pack(value) == packed
    assert same(unpack(packed), openpi_unpack(packed))


def test_numbers_of_numpy() -> None:
    assert pack(np.float64(1.5)) == pack(1.5) == openpi_pack(np.float64(1.5))
    for value in (np.float32(1.5), np.int64(-3), np.bool_(True), np.float16(2), np.uint8(255)):
        assert pack(value) == openpi_pack(value)
        assert same(unpack(pack(value)), value)


def test_arrays_are_read_only_views() -> None:
    data = pack(droid_observation())
    found = unpack(data)
    for key, value in found.items():
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, key
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0
    image = found["observation/wrist_image_left"]
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    assert start <= image.__array_interface__["data"][0] < start + len(data)
    assert found["observation/joint_position"].flags.aligned


def test_arrays_that_are_not_contiguous() -> None:
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    assert pack(array) == openpi_pack(array)


def test_keys_in_another_order_are_the_same_array() -> None:
    array = {b"shape": [2], b"dtype": "<i2", b"data": b"\x01\x00\x02\x00", b"__ndarray__": True}
    assert unpack(openpi_pack({"a": array}))["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "value",
    [np.array([object()]), np.array([1j]), np.zeros(1, "i4,f4"), np.array("2020", "M8[s]"), object(), 1j],
    ids=["objects", "complex", "structure", "date", "object", "complex number"],
)
def test_what_cannot_be_sent(value: object) -> None:
    with refused(WireError, "cannot send"):
        pack(value)


def test_a_number_that_is_too_large() -> None:
    with refused(WireError, "cannot send"):
        pack({"a": 2**70})


def test_something_that_holds_itself() -> None:
    loop: list[object] = []
    loop.append(loop)
    with refused(WireError, "cannot send"):
        pack(loop)


def test_images_with_large_sides() -> None:
    image = np.random.default_rng(2).integers(0, 255, (260, 300, 3), dtype=np.uint8)
    assert same(unpack(openpi_pack({"a": image})), {"a": image})
    wide = np.zeros((1, 70_000), np.uint8)
    assert same(unpack(openpi_pack(wide)), wide)


def array(**changes: object) -> bytes:
    parts: dict[bytes, object] = {b"__ndarray__": True, b"data": bytes(8), b"dtype": "<f4", b"shape": [2]}
    parts |= {key.encode(): value for key, value in changes.items()}
    return openpi_pack({"a": {key: value for key, value in parts.items() if value is not None}})


HUGE = 2**62
HOSTILE = {
    "objects": (array(dtype="|O"), "|O"),
    "structure": (array(dtype="i4,f4"), "i4,f4"),
    "void": (array(dtype="|V8"), "|V8"),
    "complex": (array(dtype="<c8"), "<c8"),
    "strings by reference": (array(dtype="T"), "T"),
    "bytes text": (array(dtype="a8"), "a8"),
    "no type": (array(dtype="float and more" * 50), "float"),
    "type that is no text": (array(dtype=[["a", "<f4"]]), "list"),
    "short data": (array(data=bytes(7)), "expected 8 bytes, got 7"),
    "long data": (array(data=bytes(9)), "expected 8 bytes, got 9"),
    "text as data": (array(data="12345678"), "expected bytes"),
    "huge shape": (array(shape=[HUGE, HUGE]), "got 8"),
    "huge and empty": (array(data=b"", shape=[0, HUGE, HUGE]), "got 0"),
    "negative size": (array(shape=[-2]), "negative"),
    "size that is true": (array(shape=[True, 2]), "sizes"),
    "size that is a half": (array(shape=[0.5]), "sizes"),
    "many dimensions": (array(shape=[2, *[1] * 60]), "sizes"),
    "shape that is a number": (array(shape=2), "int"),
    "no shape": (array(shape=None), "keys"),
    "more keys": (array(more=1), "keys"),
    "surrogate": (array(dtype="<U2", data=b"\x00\xd8\x00\x00" * 2, shape=[1]), "code points"),
    "no character": (array(dtype="<U1", data=b"\xff" * 8), "code points"),
    "scalar of objects": (openpi_pack({b"__npgeneric__": True, b"data": 1, b"dtype": "|O"}), "|O"),
    "scalar of another type": (openpi_pack({b"__npgeneric__": True, b"data": "1", b"dtype": "<f4"}), "'1'"),
    "scalar out of range": (openpi_pack({b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}), "300"),
    "scalar without data": (openpi_pack({b"__npgeneric__": True, b"dtype": "|u1"}), "keys"),
    "key twice": (b"\x82\xa1a\x01\xa1a\x02", "twice"),
    "binary key twice": (b"\x82\xc4\x01a\x01\xc4\x01a\x02", "twice"),
    "key that is a number": (b"\x81\x01\x02", "int"),
    "extension": (b"\xc7\x01\x05a", "0xc7"),
    "unused code": (b"\xc1", "0xc1"),
    "no UTF-8": (b"\xa2\xff\xfe", "UTF-8"),
    "type of another length": (GOLDEN.replace(b"\xa3<f4", b"\xa2<f4"), "key that is int"),
    "cut": (GOLDEN[:-3], "too early"),
    "cut in the data": (GOLDEN[:30], "too early"),
    "nothing": (b"", "too early"),
    "more after it": (GOLDEN + b"\x00", "1 bytes follow"),
    "deep": (b"\x91" * 100_000, "deep"),
    "deep maps": (b"\x81\xa1a" * 100_000, "deep"),
    "promised list": (b"\xdd\xff\xff\xff\xff", "values"),
    "many values": (b"\xdd\x00\x02\x00\x00" + b"\x90" * 2**17, "values"),
    "long text": (b"\xdb\x00\x02\x00\x00" + b"a" * 2**17, "text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages(name: str) -> None:
    data, word = HOSTILE[name]
    with refused(WireError, "malformed message", word):
        unpack(data)


def test_booleans_are_zero_or_one() -> None:
    found = unpack(array(dtype="|b1", data=b"\x00\x01\x02\xff" * 2, shape=[8]))["a"]
    assert found.view(np.uint8).tolist() == [0, 1, 1, 1] * 2


def test_endpoint() -> None:
    assert endpoint_of(pack(droid_observation() | {"endpoint": "infer"})) == "infer"
    assert endpoint_of(pack({"endpoint": "reset"})) == "reset"
    assert endpoint_of(pack(droid_observation())) is None
    assert endpoint_of(pack({"endpoint": 3})) is None
    assert endpoint_of(pack({"endpoint": "x" * 65})) is None
    assert endpoint_of(b"\x91" * 100_000) is None
