"""A policy at work: decoding beside inference, batches of what is ready, errors that stay with their request."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.embodiments.errors import MessageError
from unichunk.runtime.errors import ObservationError
from unichunk.server.serving.pipeline import CANCELLED, LATE, Pipeline
from unichunk.server.serving.work import Answer, Description, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unichunk.server.serving.served_policy import Timing

LIMIT_S = 20.0


def work(payload: bytes) -> Work:
    return Work(dialect="openpi", robot="", payload=payload, seed=(0,))


@dataclass
class Gated:
    """Infers when the test lets it; what a payload says goes wrong."""

    max_batch: int = 1
    batches: list[list[bytes]] = field(default_factory=list)
    decoded: queue.SimpleQueue[bytes] = field(default_factory=queue.SimpleQueue)
    began: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def describe(self) -> Description:
        raise NotImplementedError

    def decode(self, work: Work) -> bytes:
        if work.payload.startswith(b"malformed"):
            raise MessageError("not\na message")
        self.decoded.put(work.payload)
        return work.payload

    def infer(self, batch: Sequence[bytes]) -> list[bytes | Exception]:
        self.batches.append(list(batch))
        self.began.put(len(batch))
        assert self.gate.acquire(timeout=LIMIT_S)
        if b"all" in batch:
            raise RuntimeError("everything failed")
        if b"exit" in batch:
            raise SystemExit(3)
        if b"file" in batch:
            raise OSError("no file \udcff")
        return [ObservationError("unusable") if call == b"own" else call.upper() for call in batch]

    def encode(self, call: bytes, result: bytes, timing: Timing) -> bytes:
        assert timing.infer_s >= 0
        if call == b"unsendable":
            raise TypeError("cannot be sent")
        return result


class Answers:
    """What came, by ticket."""

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
        self.all: dict[int, Answer] = {}

    def __call__(self, ticket: int, answer: Answer) -> None:
        self._came.put((ticket, answer))

    def wait_for(self, count: int) -> dict[int, Answer]:
        while len(self.all) < count:
            ticket, answer = self._came.get(timeout=LIMIT_S)
            assert ticket not in self.all, "answered twice"
            self.all[ticket] = answer
        return self.all


@contextmanager
def running(policy: Gated, **options: Any) -> Iterator[tuple[Pipeline[bytes, bytes], Answers]]:
    answers = Answers()
    pipeline = Pipeline(policy, answers, **options)
    yield pipeline, answers
    policy.gate.release(1000)
    pipeline.close()
    assert not any(thread.name == "unichunk-infer" for thread in threading.enumerate())


def test_the_next_request_is_decoded_while_one_is_inferred() -> None:
    policy = Gated()
    with running(policy) as (pipeline, answers):
        pipeline.submit(1, work(b"a"))
        policy.began.get(timeout=LIMIT_S)
        pipeline.submit(2, work(b"b"))
        assert [policy.decoded.get(timeout=LIMIT_S) for _ in "ab"] == [b"a", b"b"]
        assert policy.batches == [[b"a"]]
        policy.gate.release(2)
        assert {ticket: answer.payload for ticket, answer in answers.wait_for(2).items()} == {1: b"A", 2: b"B"}


def test_what_is_ready_is_inferred_together_and_no_more_than_the_policy_takes() -> None:
    policy = Gated(max_batch=3)
    with running(policy) as (pipeline, answers):
        pipeline.submit(0, work(b"first"))
        policy.began.get(timeout=LIMIT_S)
        for ticket in range(1, 6):
            pipeline.submit(ticket, work(b"%d" % ticket))
        policy.gate.release(3)
        answered = answers.wait_for(6)
        assert policy.batches == [[b"first"], [b"1", b"2", b"3"], [b"4", b"5"]]
        assert [answered[ticket].batch for ticket in range(6)] == [1, 3, 3, 3, 2, 2]


def test_who_submits_more_than_may_wait_waits() -> None:
    policy = Gated()
    with running(policy, depth=1) as (pipeline, answers):
        pipeline.submit(1, work(b"a"))
        policy.began.get(timeout=LIMIT_S)
        pipeline.submit(2, work(b"b"))
        submitted = threading.Event()
        thread = threading.Thread(target=lambda: (pipeline.submit(3, work(b"c")), submitted.set()))
        thread.start()
        assert not submitted.wait(0.05)
        policy.gate.release()
        assert submitted.wait(LIMIT_S)
        policy.gate.release(2)
        answers.wait_for(3)
        thread.join()


def test_every_error_is_its_requests_own_in_one_line() -> None:
    policy = Gated(max_batch=4)
    with running(policy) as (pipeline, answers):
        pipeline.submit(0, work(b"first"))
        policy.began.get(timeout=LIMIT_S)
        pipeline.submit(1, work(b"malformed"))
        for ticket, payload in enumerate((b"good", b"own", b"all", b"unsendable"), start=2):
            pipeline.submit(ticket, work(payload))
        policy.gate.release(20)
        answered = dict(answers.wait_for(6))
        pipeline.submit(6, work(b"exit"))
        pipeline.submit(7, work(b"file"))
        ends = {ticket: answer.error for ticket, answer in answers.wait_for(8).items() if ticket >= 6}
    assert {ticket: (answer.error, answer.fault) for ticket, answer in answered.items() if answer.error} == {
        1: ("not a message", "message"),
        3: ("unusable", "observation"),
        4: ("the policy failed (RuntimeError: everything failed)", "policy"),
        5: ("the policy failed (TypeError: cannot be sent)", "policy"),
    }
    assert "end of its process (3)" in ends[6]
    assert ends[7] == r"the policy failed (OSError: no file \udcff)"
    # Together they failed, so that each was tried alone.
    assert policy.batches[1:6] == [
        [b"good", b"own", b"all", b"unsendable"],
        [b"good"],
        [b"own"],
        [b"all"],
        [b"unsendable"],
    ]


def test_what_is_cancelled_in_time_is_not_inferred() -> None:
    policy = Gated()
    with running(policy) as (pipeline, answers):
        for ticket in (1, 2, 3):
            if ticket == 2:
                policy.began.get(timeout=LIMIT_S)
            pipeline.submit(ticket, work(b"%d" % ticket))
        pipeline.cancel(2)
        # Too late: it is being inferred.
        pipeline.cancel(1)
        pipeline.cancel(99)
        policy.gate.release(2)
        answered = answers.wait_for(3)
        assert answered[2] == CANCELLED
        assert (answered[1].payload, answered[3].payload) == (b"1", b"3")
        assert policy.batches == [[b"1"], [b"3"]]


def test_what_would_come_too_late_is_not_inferred() -> None:
    policy = Gated()
    with running(policy) as (pipeline, answers):
        now_s = time.monotonic()
        pipeline.submit(1, work(b"a"), now_s + LIMIT_S)
        policy.began.get(timeout=LIMIT_S)
        pipeline.submit(2, work(b"b"), now_s)
        pipeline.submit(3, work(b"c"), now_s + LIMIT_S)
        policy.gate.release(2)
        answered = answers.wait_for(3)
        assert answered[2] == LATE
        assert policy.batches == [[b"a"], [b"c"]]


@settings(max_examples=30, deadline=None)
@given(
    payloads=st.lists(st.sampled_from([b"good", b"own", b"all", b"malformed", b"unsendable"]), max_size=30),
    cancelled=st.sets(st.integers(0, 29)),
    max_batch=st.integers(1, 5),
)
def test_every_ticket_is_answered_once(payloads: list[bytes], cancelled: set[int], max_batch: int) -> None:
    policy = Gated(max_batch=max_batch)
    policy.gate.release(1000)
    with running(policy) as (pipeline, answers):
        for ticket, payload in enumerate(payloads):
            pipeline.submit(ticket, work(payload))
            if ticket in cancelled:
                pipeline.cancel(ticket)
        answered = answers.wait_for(len(payloads))
        assert not pipeline._open
    for ticket, payload in enumerate(payloads):
        if payload == b"good" and answered[ticket] != CANCELLED:
            assert answered[ticket].payload == b"GOOD"
        elif payload != b"good":
            assert answered[ticket].error
    assert all(len(batch) <= max_batch for batch in policy.batches)
