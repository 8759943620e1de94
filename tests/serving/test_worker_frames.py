"""Frames between front and worker: of any size, in both directions at once, up to an abrupt end."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from unichunk.server.serving.frames import Begin, begin, done, widen
from unichunk.server.serving.shared_arena import LEAST_BYTES, SLOT_BYTES, SLOTS, SharedArena, SharedPayloads
from unichunk.server.serving.work import Answer, Work
from unichunk.server.serving.worker_process import _Channel
from unichunk.server.serving.worker_socket import WorkerSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIZES = (0, 1, 600, 300_000, 70_000, 5_000_000, 12_000_000, 3)


def work(payload: bytes) -> Work:
    return Work(dialect="lean", robot="so101", payload=payload, seed=(1, 2), previous_total_ms=0.5)


def echo(connection: socket.socket) -> None:
    """A worker that sends payloads back."""
    channel = _Channel(connection)
    with suppress(EOFError), connection:
        while True:
            message, payload = channel.receive()
            assert isinstance(message, Begin)
            assert message.work(payload) == work(payload)
            answer = Answer(payload=payload, infer_s=0.25, batch=3)
            channel.send(done(message.ticket, answer), answer.payload)


class Front:
    """What came back."""

    def __init__(self, connection: socket.socket) -> None:
        self.answers: dict[int, Answer] = {}
        self.closed = 0
        self.socket = WorkerSocket(connection, self.received, self.is_closed)

    def received(self, message: Any, payload: bytes) -> None:
        assert message.ticket not in self.answers
        self.answers[message.ticket] = message.answer(payload)

    def is_closed(self) -> None:
        self.closed += 1

    async def until(self, condition: Any) -> None:
        for _ in range(4000):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("it never came true")


@asynccontextmanager
async def connected(*, wide: bool = True) -> AsyncIterator[tuple[Front, socket.socket]]:
    ours, theirs = socket.socketpair()
    if wide:
        widen(ours, theirs)
    front = Front(ours)
    try:
        yield front, theirs
    finally:
        front.socket.close()
        theirs.close()


@pytest.mark.parametrize("wide", [True, False])
def test_what_goes_out_comes_back_whatever_its_size(wide: bool) -> None:
    async def run() -> None:
        async with connected(wide=wide) as (front, theirs):
            thread = threading.Thread(target=echo, args=(theirs,))
            thread.start()
            payloads = [random.Random(size).randbytes(size) for size in SIZES * 3]
            for ticket, payload in enumerate(payloads):
                front.socket.send(begin(ticket, work(payload)), payload)
            await front.until(lambda: len(front.answers) == len(payloads))
            for ticket, payload in enumerate(payloads):
                answer = front.answers[ticket]
                assert answer.payload == payload
                assert (answer.infer_s, answer.batch, answer.error) == (0.25, 3, "")
            front.socket.close()
            await asyncio.to_thread(thread.join, 20)
            assert not thread.is_alive()
            assert front.closed == 0, "who closes knows it"

    asyncio.run(run())


def test_the_other_ends_death_is_told_once_after_its_last_answer() -> None:
    async def run() -> None:
        async with connected() as (front, theirs):
            channel = _Channel(theirs)
            channel.send(done(1, Answer(payload=b"last")), b"last")
            theirs.close()
            await front.until(lambda: front.closed)
            assert front.answers[1].payload == b"last"
            for _ in range(3):
                front.socket.send(begin(2, work(b"nobody")), b"nobody")
                await asyncio.sleep(0)
            assert front.closed == 1

    asyncio.run(run())


def test_nonsense_ends_it_like_a_death() -> None:
    async def run() -> None:
        async with connected() as (front, theirs):
            theirs.sendall(b"\x04\x00\x00\x00" + bytes(8) + b"\xc1\xc1\xc1\xc1")
            await front.until(lambda: front.closed)
            assert front.answers == {}

    asyncio.run(run())


def test_payloads_in_shared_memory_come_back_whole_and_their_place_is_used_again() -> None:
    arena = SharedArena()
    with closing(arena):
        worker = SharedPayloads(os.dup(arena.fd))
        payloads = {ticket: random.Random(ticket).randbytes(LEAST_BYTES + 1000 * ticket) for ticket in range(SLOTS)}
        places = {ticket: arena.put(ticket, payload) for ticket, payload in payloads.items()}
        assert len(set(places.values())) == SLOTS
        taken = {
            ticket: worker.take(start, len(payloads[ticket])) for ticket, start in places.items() if start is not None
        }
        assert taken == payloads
        # No room: through the socket.
        assert arena.put(99, payloads[0]) is None
        arena.free(7)
        arena.free(7)
        again = random.Random(99).randbytes(SLOT_BYTES)
        assert arena.put(99, again) == places[7]
        # What somebody keeps of an old request stays what it was.
        assert taken[7] == payloads[7]
        assert arena.put(100, again) is None


@pytest.mark.parametrize("size", [0, LEAST_BYTES - 1, SLOT_BYTES + 1])
def test_what_does_not_fit_goes_through_the_socket(size: int) -> None:
    arena = SharedArena()
    with closing(arena):
        assert arena.put(1, bytes(size)) is None
        arena.free(1)
    arena.close()
    assert arena.put(2, bytes(LEAST_BYTES)) is None
