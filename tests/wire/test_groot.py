"""GR00T's three dialects, by their golden bytes and against the packages that its clients use."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from tests.wire.peers import groot_pack, groot_unpack, same
from tests.wire.values import ARRAYS, NUMBERS, trees
from unichunk.runtime.errors import ObservationError
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.groot import (
    KILLED,
    PONG,
    RESET,
    GrootDialect,
    pack,
    pack_error,
    pack_modality,
    read_envelope,
    unknown_endpoint,
    unpack,
)
from unichunk.server.wire.groot_action import ActionForm, pack_actions, read_action_request
from unichunk.server.wire.npy import read_npy, write_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOLDEN_C = bytes.fromhex(
    "81a16185c4026e64c3c40474797065a33c6634c4046b696e64c400c40573686170659102c40464617461c408000000000000803f"
)
VIDEO = np.random.default_rng(1).integers(0, 255, (1, 1, 6, 8, 3), dtype=np.uint8)
ARM = np.arange(5, dtype=np.float32)[None, None]
NESTED = {"video": {"front": VIDEO}, "state": {"arm": ARM, "hand": ARM[..., :1]}, "language": {"task": [["go"]]}}
FLAT = {
    "video.front": VIDEO[0],
    "state.arm": ARM[0],
    "state.hand": ARM[0, :, :1],
    "annotation.human.task_description": ["go"],
}
CHUNK = {"arm": np.arange(10, dtype=np.float32).reshape(2, 5), "hand": np.ones((2, 1), np.float32)}


def request(dialect: str, **more: object) -> bytes:
    data = FLAT if dialect == "A" else {"observation": NESTED, "options": None}
    return groot_pack({"endpoint": "get_action", "data": data, **more}, dialect)


def test_golden() -> None:
    value = {"a": np.array([0, 1], np.float32)}
    assert pack(value, GrootDialect.C) == GOLDEN_C == groot_pack(value, "C")
    assert same(unpack(GOLDEN_C), value)


@pytest.mark.parametrize("dialect", ["A", "B", "C"])
@settings(max_examples=60, deadline=None)
@given(value=trees(st.one_of(NUMBERS, ARRAYS)))
def test_every_value_crosses_as_with_groots_own_packers(dialect: str, value: object) -> None:
    packed = groot_pack(value, dialect)
    assert pack(value, GrootDialect[dialect]) == packed
    assert same(unpack(packed), groot_unpack(packed, dialect))


@pytest.mark.parametrize("value", [np.float32(1.5), np.int64(-3), np.bool_(True), np.float64(2)])
def test_numbers_of_numpy(value: object) -> None:
    assert pack(value, GrootDialect.C) == groot_pack(value, "C")
    assert unpack(groot_pack(value, "C")) == value
    assert unpack(pack(value, GrootDialect.A)) == value


@pytest.mark.parametrize("dialect", ["A", "B", "C"])
def test_requests_show_their_dialect(dialect: str) -> None:
    envelope = read_envelope(request(dialect, api_token="secret"))
    assert (envelope.endpoint, envelope.api_token) == ("get_action", "secret")
    assert envelope.dialect is GrootDialect[dialect]


def test_requests_without_arrays() -> None:
    ping = read_envelope(msgpack.packb({"endpoint": "ping"}))
    assert (ping.endpoint, ping.api_token, ping.data, ping.dialect) == ("ping", None, None, None)
    assert read_envelope(msgpack.packb({})).endpoint == "get_action"
    reset = read_envelope(msgpack.packb({"endpoint": "reset", "data": {"options": None}}))
    assert reset.dialect is None
    assert reset.data is not None
    assert read_envelope(msgpack.packb({"endpoint": "ping", "data": None})).dialect is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x90",
        b"\x91" * 100_000,
        msgpack.packb({"endpoint": 3}),
        msgpack.packb({"endpoint": "x" * 1000}),
        msgpack.packb({"api_token": "x" * 5000}),
        msgpack.packb({"data": [{"__ndarray_class__": True}]}),
    ],
    ids=["nothing", "list", "deep", "number", "long", "long token", "list with an array"],
)
def test_envelopes_that_are_none(data: bytes) -> None:
    with refused(WireError, "malformed message", "GR00T"):
        read_envelope(data)


@pytest.mark.parametrize("dialect", ["A", "B", "C"])
def test_an_observation_in_every_dialect(dialect: str) -> None:
    found = read_action_request(request(dialect))
    assert np.array_equal(found.observation["video.front"], VIDEO[0, 0])
    assert found.observation["state.arm"].tolist() == [0, 1, 2, 3, 4]
    assert found.observation["state.hand"].tolist() == [0]
    instruction = "annotation.human.task_description" if dialect == "A" else "language.task"
    assert instruction in found.observation


@pytest.mark.parametrize("dialect", ["A", "B", "C"])
def test_actions_come_in_the_dialect_of_the_request(dialect: str) -> None:
    form = read_action_request(request(dialect)).form
    reply = groot_unpack(pack_actions(CHUNK, form, extra={"u": np.zeros(3)}, info={"ms": 1.0}), dialect)
    actions = reply if dialect == "A" else reply[0]
    assert list(actions) == (["action.arm", "action.hand", "u"] if dialect == "A" else ["arm", "hand", "u"])
    for value, expected in zip(actions.values(), CHUNK.values(), strict=False):
        assert same(np.array(value), expected if dialect == "A" else expected[None])
    if dialect != "A":
        assert reply[1] == {"ms": 1.0}


def test_a_batch_of_one_comes_back_as_one() -> None:
    batched = {"video.front": VIDEO, "state.arm": ARM, "annotation.human.task_description": [["go"]]}
    found = read_action_request(groot_pack({"data": batched}, "A"))
    assert found.form == ActionForm(GrootDialect.A, flat=True, batched=True)
    reply = groot_unpack(pack_actions(CHUNK, found.form, extra={}, info={}), "A")
    assert reply["action.arm"].shape == (1, 2, 5)
    assert found.observation["video.front"].shape == (6, 8, 3)


def test_a_flat_observation_in_a_wrapper_gets_flat_actions() -> None:
    form = read_action_request(groot_pack({"data": {"observation": FLAT, "options": {}}}, "C")).form
    reply = groot_unpack(pack_actions(CHUNK, form, extra={}, info={}), "C")
    assert list(reply[0]) == ["action.arm", "action.hand"]
    assert reply[0]["action.arm"].shape == (1, 2, 5)


def test_requests_without_arrays_use_what_is_remembered() -> None:
    data = msgpack.packb({"data": {"observation": {"language": {"task": "go"}}}})
    assert read_action_request(data).form.dialect is GrootDialect.C
    assert read_action_request(data, remembered=GrootDialect.B).form.dialect is GrootDialect.B


@pytest.mark.parametrize("shape", [(2, 1, 6, 8, 3), (1, 2, 6, 8, 3)])
def test_more_than_one_observation(shape: tuple[int, ...]) -> None:
    with refused(ObservationError, "video.front", "B = 1 and T = 1"):
        read_action_request(groot_pack({"data": {"video.front": np.zeros(shape, np.uint8)}}, "A"))


@pytest.mark.parametrize("data", [None, 3, [1]])
def test_get_action_needs_data(data: object) -> None:
    with refused(WireError, "get_action", "data"):
        read_action_request(msgpack.packb({"endpoint": "get_action", "data": data}))


def test_modality_in_every_dialect() -> None:
    config = {"video": {"delta_indices": [0], "modality_keys": ["front"]}}
    a, b, c = (msgpack.unpackb(pack_modality(config, dialect)) for dialect in GrootDialect)
    assert a["video"]["__ModalityConfig_class__"] is True
    assert json.loads(a["video"]["as_json"]) == {"delta_indices": [0], "modality_keys": ["video.front"]}
    assert b == {"video": {"__ModalityConfig_class__": True, "as_json": config["video"]}}
    assert c == {"video": {"__ModalityConfig__": True, "as_json": config["video"]}}


def test_replies_without_arrays() -> None:
    assert msgpack.unpackb(PONG) == {"status": "ok", "message": "Server is running"}
    assert msgpack.unpackb(RESET) == {}
    assert KILLED == b"\xc0"
    assert msgpack.unpackb(unknown_endpoint("dance")) == {"error": "Unknown endpoint: dance"}
    assert msgpack.unpackb(pack_error("Unauthorized: Invalid API token")) == {
        "error": "Unauthorized: Invalid API token"
    }


EXPLOIT = b"cbuiltins\nexit\n(I99\ntR."
"""A pickle that ends the process which reads it."""


def msgpack_numpy_array(**changes: object) -> bytes:
    parts = {"nd": True, "type": "<f4", "kind": b"", "shape": [2], "data": bytes(8)} | changes
    return bytes(msgpack.packb({"data": {key.encode(): value for key, value in parts.items()}}))


def npy_file(header: str, data: bytes = bytes(8)) -> bytes:
    padded = header.encode().ljust(118)
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + data


HOSTILE = {
    "pickle": (msgpack_numpy_array(kind=b"O", data=EXPLOIT), "plain"),
    "objects": (msgpack_numpy_array(type="|O"), "|O"),
    "structure": (msgpack_numpy_array(kind=b"V", type=[["a", "<f4"]]), "plain"),
    "complex": (msgpack_numpy_array(type="<c8"), "<c8"),
    "short": (msgpack_numpy_array(data=bytes(7)), "got 7"),
    "no shape": (msgpack_numpy_array(shape=None), "NoneType"),
    "scalar with too much": (msgpack_numpy_array(nd=False), "expected 4 bytes"),
    "text as data": (msgpack_numpy_array(data="12345678"), "plain"),
    "cut": (msgpack_numpy_array()[:-2], "too early"),
    "type of another length": (msgpack_numpy_array().replace(b"\xa3<f4", b"\xa2<f4"), "key that is int"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays(name: str) -> None:
    data, word = HOSTILE[name]
    with refused(WireError, "malformed message", word):
        unpack(data)


SHAPE = "'shape': (2,), }"
NPY = {
    "long header": (
        b"\x93NUMPY\x01\x00\x58\x02"
        + ("{'descr': '<f4', 'fortran_order': False, " + SHAPE).encode().ljust(600)
        + bytes(8),
        "600",
    ),
    "pickle": (npy_file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", EXPLOIT), "array of type '|O'"),
    "no file": (b"PK\x03\x04" * 10, ".npy"),
    "nothing": (b"", ".npy"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(20), ".npy"),
    "cut": (npy_file("{'descr': '<f4', 'fortran_order': False, " + SHAPE)[:40], "header"),
    "code": (npy_file("{'descr': __import__('os'), 'fortran_order': False, " + SHAPE), "plain array"),
    "nested": (npy_file("(" * 100), "plain array"),
    "structure": (npy_file("{'descr': [('a', '<f4')], 'fortran_order': False, " + SHAPE), "plain array"),
    "negative": (npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }"), "plain array"),
    "other size": (npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"), "got 8"),
    "huge": (npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999), }"), "got 8"),
    "more keys": (npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}"), "plain array"),
    "no ASCII": (npy_file("{'descr': '\xff\xff', 'fortran_order': False, " + SHAPE), "type"),
}


@pytest.mark.parametrize("name", NPY)
def test_hostile_files(name: str) -> None:
    data, word = NPY[name]
    with refused(WireError, word):
        read_npy(memoryview(data))


@pytest.mark.parametrize(
    "array",
    [np.zeros(()), np.arange(3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.zeros((0, 2), np.uint8)],
    ids=["no dimension", "one", "fortran", "empty"],
)
def test_files_are_numpys(array: NDArray[Any]) -> None:
    file = io.BytesIO()
    np.save(file, array)
    assert write_npy(array) == file.getvalue()
    for version in (1, 2, 3):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version=(version, 0))
        assert same(read_npy(memoryview(file.getvalue())), array)
    assert not read_npy(memoryview(file.getvalue())).flags.writeable


def test_what_cannot_be_sent() -> None:
    for dialect in GrootDialect:
        with refused(WireError, "cannot send"):
            pack({"a": np.array([None])}, dialect)
    with refused(WireError, "cannot send"):
        write_npy(np.array([1j]))
