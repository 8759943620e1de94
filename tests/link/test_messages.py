"""Messages: their bytes are the protocol, and damaged ones end as MessageError."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import suppress

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.calls import CALLS, REPLIES, Hello, TaskBegin, TaskBegun, TaskNumbers
from unichunk.embodiments.link.codec import Decoder, encode
from unichunk.embodiments.link.messages import COMMANDS, FRAMES, PROTOCOL, STATES, Command, Frame, State

COMMAND = Command(session="0123abcd", sequence=7, tick=-3, stamp_ns=2**40, q=np.array([1.0, -0.5]))
STATE = State(
    sequence=1,
    stamp_ns=2,
    q=np.zeros(2),
    dq=np.ones(2),
    watchdog=True,
    stopped=False,
    session="s",
    last_command_sequence=-1,
)
FRAME = Frame(sequence=4, stamp_ns=5, image=np.arange(24, dtype=np.uint8).reshape(2, 4, 3), state=STATE)
HELLO = Hello(id=1, session="s", protocol=PROTOCOL, client="c", embodiment="so101")
DECODERS = [COMMANDS, STATES, FRAMES, CALLS, REPLIES]

GOLDEN_COMMAND = bytes.fromhex(
    "86"  # a map of 6
    "a474797065" "a7636f6d6d616e64"  # type: command
    "a773657373696f6e" "a83031323361626364"  # session: 0123abcd
    "a873657175656e6365" "07"  # sequence: 7
    "a47469636b" "fd"  # tick: -3
    "a87374616d705f6e73" "cf0000010000000000"  # stamp_ns: 2**40
    "a171" "c71801"  # q: extension 1 of 24 bytes
    "3c6638" "01" "02000000"  # <f8, 1 dimension of 2
    "000000000000f03f" "000000000000e0bf"  # 1.0, -0.5
)  # fmt: skip


def test_a_command_is_these_bytes() -> None:
    assert encode(COMMAND).hex() == GOLDEN_COMMAND.hex()
    back = COMMANDS.decode(GOLDEN_COMMAND)
    assert (back.session, back.sequence, back.tick, back.stamp_ns) == ("0123abcd", 7, -3, 2**40)
    assert back.q.tolist() == [1.0, -0.5]


def test_a_frame_carries_its_image_and_state() -> None:
    back = FRAMES.decode(encode(FRAME))
    assert np.array_equal(back.image, FRAME.image)
    assert back.state.dq.tolist() == [1.0, 1.0]
    assert back.state.watchdog
    assert back.state.last_command_sequence == -1


def test_calls_and_replies_come_back_as_they_were() -> None:
    assert CALLS.decode(encode(HELLO)) == HELLO
    task = TaskBegin(id=2, session="s", instruction="follow the red block")
    assert CALLS.decode(encode(task)) == task
    for reply in (TaskNumbers(id=3, numbers={"error_m": 0.5}), TaskBegun(id=2, unmeasured="it cannot be told")):
        assert REPLIES.decode(encode(reply)) == reply


def test_unknown_fields_are_left_for_later_versions() -> None:
    document = msgspec.msgpack.decode(encode(HELLO)) | {"mood": ["good"]}
    assert CALLS.decode(msgspec.msgpack.encode(document)) == HELLO


def plain(**changes: object) -> bytes:
    document = msgspec.msgpack.decode(encode(COMMAND))
    return msgspec.msgpack.encode({**document, **changes})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "malformed message, expected a command"),
        (GOLDEN_COMMAND[:-1], "truncated"),
        (GOLDEN_COMMAND + b"\x00", "trailing"),
        (encode(STATE), "Invalid value 'state' - at `$.type`"),
        (plain(q=[1.0, 2.0]), "`$.q`"),
        (plain(q=msgspec.msgpack.Ext(2, b"x")), "extension 2"),
        (plain(q=msgspec.msgpack.Ext(1, b"x")), "expected a header"),
        (plain(q=None), "`$.q`"),
        (plain(sequence=-1), "`$.sequence`"),
        (plain(sequence=2**63), "`$.sequence`"),
        (plain(session="x" * 65), "`$.session`"),
        (plain(session=5), "`$.session`"),
        (b"\x81\xa4type\xa2\xff\xfe", "malformed"),
        (b"\x91" * 100_000, "malformed"),
        (b"\x81\xa1x" + b"\x91" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    with refused(MessageError, words):
        COMMANDS.decode(data)


@given(st.binary(max_size=300), st.sampled_from(DECODERS))
def test_bytes_are_refused(data: bytes, decoder: Decoder[object]) -> None:
    with pytest.raises(MessageError):
        decoder.decode(data)


@given(st.sampled_from([COMMAND, STATE, FRAME, HELLO]), st.data())
def test_damaged_messages_are_read_or_refused(message: msgspec.Struct, data: st.DataObject) -> None:
    damaged = bytearray(encode(message))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for decoder in DECODERS:
        with suppress(MessageError):
            decoder.decode(cut)


@pytest.mark.parametrize("header", [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
@pytest.mark.parametrize("key", [b"\xa1q", b"\xa7session", b"\xacjoint_names", b"\xa6frames"])
def test_a_claimed_size_costs_nothing(header: bytes, key: bytes) -> None:
    data = b"\x82\xa4type\xa7command" + key + header + b"\xff\xff\xff\xff\x01"
    tracemalloc.start()
    for decoder in DECODERS:
        with pytest.raises(MessageError):
            decoder.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_objects_do_not_travel() -> None:
    with refused(MessageError, "cannot send an array of object"):
        encode(Command(session="", sequence=0, tick=0, stamp_ns=time.monotonic_ns(), q=np.array([None])))
