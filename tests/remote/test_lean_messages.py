"""Messages of the lean protocol: what a session merges, what a worker decodes, what hostile bytes do."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from tests.remote.bundles import tiny_policy
from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.policy.result import PolicyResult
from unichunk.server.wire.lean import REQUESTS, RESPONSES, Hello, Infer, Inferred, Ping, Refused, Welcome
from unichunk.server.wire.lean_fields import SessionFields
from unichunk.server.wire.lean_rows import RowCodec
from unichunk.server.wire.lean_work import decode_observation, encode_result, with_timing, work_seed

KEYS = st.sampled_from(["video.a", "video.b", "state.arm", "language.instruction", "x"])
VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(0, 255).map(lambda level: np.full((level % 7 + 1, 5, 3), level, np.uint8)),
    st.floats(-1, 1).map(lambda value: np.array([value], np.float32)),
)


def fitted(policy: Any) -> tuple[RowCodec, int]:
    """What a worker fits to a robot once."""
    return RowCodec(policy.manifest, policy.robot), policy.manifest.image.size


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(encode(value))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.dictionaries(KEYS, VALUES), st.sets(KEYS), st.booleans()), max_size=8), st.data())
def test_a_session_completes_what_changes(steps: list[Any], data: st.DataObject) -> None:
    """Whatever changes, is removed, is lost or comes again: a worker sees what the client saw, or nothing."""
    policy = tiny_policy()
    session = SessionFields(10**6)
    observation: dict[str, Any] = {}
    last = 0
    for number, (changed, gone, everything) in enumerate(steps, start=1):
        before = dict(observation)
        for name in gone - changed.keys():
            observation.pop(name, None)
        observation |= changed
        full = everything or last == 0
        infer = Infer(
            id=number,
            number=number,
            base=0 if full else number - 1,
            fields={name: raw(value) for name, value in (observation if full else changed).items()},
            removed=() if full else tuple(before.keys() - observation.keys()),
            within_s=1.0,
        )
        if data.draw(st.booleans(), label="lost"):
            continue
        message = encode(infer)
        received = REQUESTS.decode(message)
        assert isinstance(received, Infer)
        payload = session.take(received, message)
        assert session.take(received, message) is None  # it comes a second time
        if payload is None:
            assert not full
            assert last != number - 1
            continue
        assert full or last == number - 1
        last = number
        decoded = decode_observation(payload, *fitted(policy))
        assert decoded.id == number
        assert decoded.previous_chunk is None
        assert same(decoded.observation, observation)


def test_an_observation_has_an_end() -> None:
    session = SessionFields(100_000)
    large = Infer(id=1, number=0, fields={"video.a": raw(np.zeros((200, 200, 3), np.uint8))}, within_s=1.0)
    with refused(MessageError, "1 fields of 120", "at most 64 of 100000 bytes"):
        session.take(large, encode(large))
    small = msgspec.structs.replace(large, fields={"x": raw("a")})
    assert session.take(small, encode(small)) is not None
    # With what is there already.
    more = Infer(id=2, number=0, base=1, fields={f"k{i}": raw(i) for i in range(64)}, within_s=1.0)
    with refused(MessageError, "65 fields"):
        session.take(more, encode(more))
    follows = msgspec.structs.replace(more, id=3, fields={"y": raw("b")})
    payload = session.take(follows, encode(follows))
    assert payload is not None
    policy = tiny_policy()
    assert decode_observation(payload, *fitted(policy)).observation == {"x": "a", "y": "b"}
    session.clear()
    assert session.held_bytes == 0
    after = msgspec.structs.replace(follows, id=4, base=3)
    assert session.take(after, encode(after)) is None


def test_small_fields_do_not_keep_large_messages() -> None:
    session = SessionFields(10**7)
    first = Infer(
        id=1, number=0, fields={"video.a": raw(np.zeros((500, 500, 3), np.uint8)), "x": raw("a")}, within_s=1.0
    )
    message = encode(first)
    received = REQUESTS.decode(message)
    assert isinstance(received, Infer)
    session.take(received, message)
    assert session._fields["video.a"] is received.fields["video.a"]
    assert session._fields["x"] is not received.fields["x"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.sampled_from(["all", "own"]), st.booleans(), st.integers(0, 2**32))
def test_rows_come_through_bit_by_bit(delay: int, more: int, noise: str, elsewhere: bool, seed: int) -> None:
    policy = tiny_policy(noise)
    random = np.random.default_rng(seed)
    rows = RowCodec(policy.manifest, policy.robot)
    chunk = np.zeros((8, 200), np.float32)
    chunk[:, rows.slots] = random.standard_normal((8, rows.slots.size))
    # A guided policy is told of more rows than are locked.
    count = min(8, delay + more)
    locked = chunk[:count].copy()
    if elsewhere:
        locked[count // 2 :, 150] = 3.0
    packed = rows.pack_locked(locked)
    assert packed.shape == (count, 200 if elsewhere and count else rows.slots.size)
    infer = Infer(id=7, number=3, fields={}, delay=delay, locked=raw(packed), within_s=1.0)
    message = encode(infer)
    received = REQUESTS.decode(message)
    assert isinstance(received, Infer)
    payload = SessionFields(1000).take(received, message)
    assert payload is not None
    decoded = decode_observation(payload, *fitted(policy))
    assert decoded.delay == delay
    if count:
        assert decoded.previous_chunk is not None
        np.testing.assert_array_equal(decoded.previous_chunk, locked)
    if noise == "all":
        chunk[:, 150] = 1.0
    gates = random.standard_normal((1, 2)).astype(np.float32)
    answer = encode_result(7, "ab", PolicyResult(chunk, {}, gates, gates), fitted(policy)[0], infer_s=0.5)
    timed = with_timing(answer, queue_s=0.001, infer_s=0.5, total_s=0.6)
    for message in (answer, timed):
        inferred = RESPONSES.decode(message)
        assert isinstance(inferred, Inferred)
        assert (inferred.id, inferred.digest, inferred.timing.infer_ms) == (7, "ab", 500.0)
        assert inferred.unified.shape[1] == (200 if noise == "all" else rows.slots.size)
        placed = rows.place_chunk(inferred.unified)
        np.testing.assert_array_equal(placed, chunk)
        assert placed.flags.writeable
        np.testing.assert_array_equal(inferred.gates, gates)
    assert isinstance(inferred, Inferred)
    assert (inferred.timing.queue_ms, inferred.timing.total_ms) == (1.0, 600.0)


@pytest.mark.parametrize("answer", [b"", b"x" * 27, b"\x93" * 28, encode(Refused(id=1, kind="late", reason="no"))])
def test_times_are_put_into_chunks_only(answer: bytes) -> None:
    with refused(MessageError, "expected an encoded chunk"):
        with_timing(answer, queue_s=0, infer_s=0, total_s=0)


def test_noise_follows_from_the_session_and_the_number() -> None:
    assert work_seed(Hello(protocol=1, seed=5), Infer(id=1, number=9, fields={}, within_s=1)) == (5, 9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delay": 9, "locked": raw(np.zeros((9, 6), np.float32))}, ["0 to 8", "got delay 9"]),
        ({"delay": 2}, ["and their values", "got delay 2"]),
        ({"delay": 2, "locked": raw(np.zeros((1, 6), np.float32))}, ["float32 of shape (2, 6) or (2, 200)"]),
        ({"delay": 2, "locked": raw(np.zeros((9, 6), np.float32))}, ["float32 of shape (8, 6) or (8, 200)"]),
        ({"delay": 0, "locked": raw(np.zeros((3, 5), np.float32))}, ["float32 of shape (3, 6) or (3, 200)"]),
        ({"delay": 2, "locked": raw(np.zeros((2, 6)))}, ["got float64"]),
        ({"delay": 2, "locked": raw("x")}, ["malformed"]),
        ({"fields": {"video.a": raw({"jpeg": b"x"})}}, ["video.a: not a JPEG"]),
        (
            {"fields": {"video.a": raw({"segment": "../etc", "offset": 0, "shape": (1, 1, 3)})}},
            ["no name of a segment"],
        ),
        ({"fields": {"video.a": raw({"segment": "x"})}}, ["video.a", "missing required field"]),
        ({"fields": {"video.a": raw({})}}, ["video.a", "missing required field"]),
        ({"fields": {"video.a": msgspec.Raw(b"\xc1")}}, ["malformed"]),
    ],
)
def test_what_a_worker_cannot_read(changes: dict[str, Any], words: list[str]) -> None:
    policy = tiny_policy()
    infer = msgspec.structs.replace(Infer(id=1, number=0, fields={}, within_s=1.0), **changes)
    payload = SessionFields(1000).take(infer, encode(infer))
    assert payload is not None
    with refused(MessageError, *words):
        decode_observation(payload, *fitted(policy))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.data())
def test_hostile_bytes_end_in_one_line(junk: bytes, data: st.DataObject) -> None:
    policy = tiny_policy()
    good = encode(
        Infer(
            id=1,
            number=0,
            fields={"video.a": raw(np.zeros((3, 3, 3), np.uint8)), "b": raw({"jpeg": b"abc"}), "c": raw("text")},
            delay=2,
            locked=raw(np.zeros((2, 6), np.float32)),
            within_s=1.0,
        )
    )
    at = data.draw(st.integers(0, len(good)))
    for message in (junk, good[:at], good[:at] + junk + good[at:], good[:at] + junk + good[at + len(junk) :]):
        with refused_at_most(MessageError):
            request = REQUESTS.decode(message)
            if isinstance(request, Infer):
                payload = SessionFields(1000).take(request, message)
                if payload is not None:
                    decode_observation(payload, *fitted(policy))
        with refused_at_most(MessageError):
            decode_observation(message, *fitted(policy))
        with refused_at_most(MessageError):
            RESPONSES.decode(message)


def test_messages_of_both_directions() -> None:
    hello = REQUESTS.decode(encode(Hello(protocol=1)))
    assert isinstance(hello, Hello)
    assert (hello.session, hello.refinement_rounds) == (None, None)
    assert isinstance(REQUESTS.decode(encode(Ping(id=3))), Ping)
    with refused(MessageError, "a request to a policy server"):
        REQUESTS.decode(encode(Refused(id=1, kind="late", reason="no")))
    with refused(MessageError, "a policy server's answer"):
        RESPONSES.decode(encode(Ping(id=3)))
    assert Welcome.__struct_fields__[-1] == "host"
    assert Inferred.__struct_fields__[-1] == "timing"  # with_timing counts on it
