"""A front of a Ray cluster whose replicas live and die as the test says: all without Ray."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from tests.serving.fake_backend import DIGEST, description
from unichunk.server.serving import ray_lane
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.backend import Busy, Caller, Expired, SwapRefused, UnknownPolicy
from unichunk.server.serving.ray_backend import ClusterTimes, RayBackend
from unichunk.server.serving.ray_calls import Loaded, ReplicaLost, Reply
from unichunk.server.serving.ray_edition import Edition, Editions, first_editions, newest
from unichunk.server.serving.source import PolicySource
from unichunk.server.serving.work import Answer, Description, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CALLER = Caller("tenant", "ws-1")
SOON = ClusterTimes(exchange_s=0.01, retire_s=0.02)


@dataclass(eq=False)
class Call:
    """A request that a replica has."""

    replica: int
    payload: bytes
    future: asyncio.Future[Reply]


@dataclass
class FakeReplicas:
    """Gives each request to the next replica, and leaves the rest to the test."""

    count: int = 2
    calls: list[Call] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    given_up: list[bytes] = field(default_factory=list)
    loaded: dict[str, Description | str] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)
    known: Editions = field(default_factory=dict)
    digest: str = DIGEST
    opened: int = 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.opened -= 1

    def expect(self, edition: Edition, description: Description) -> None:
        """Nothing follows from it here."""

    async def answer(self, edition: Edition, work: Work, session: str) -> Reply:
        call = Call(len(self.sent) % max(1, self.count), work.payload, asyncio.get_running_loop().create_future())
        self.sent.append(work.payload)
        self.calls.append(call)
        try:
            return await call.future
        except asyncio.CancelledError:
            self.given_up.append(work.payload)
            raise
        finally:
            self.calls.remove(call)

    def done(self, call: Call) -> None:
        answer = Answer(payload=b"chunk of " + call.payload, infer_s=0.001)
        call.future.set_result(Reply(answer=answer, digest=self.digest, replica=f"r{call.replica}", pid=1))

    def kill(self, replica: int) -> None:
        for call in self.calls:
            if call.replica == replica and not call.future.done():
                call.future.set_exception(ReplicaLost("the actor died"))

    async def load(self, edition: Edition) -> Loaded:
        what = self.loaded.get(edition.source.source, python_policy(edition.source.source))
        return Loaded(error=what) if isinstance(what, str) else Loaded(description=what)

    async def load_everywhere(self, edition: Edition) -> Sequence[Loaded]:
        return [await self.load(edition)] * self.count

    async def retire(self, edition: Edition) -> None:
        self.retired.append(edition.source.source)

    async def exchange(self, editions: Editions) -> Editions:
        self.known = newest(self.known, editions)
        return self.known


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    before, ray_lane.PAUSES_S = ray_lane.PAUSES_S, (0.0, 0.0)  # type: ignore[misc]
    yield
    ray_lane.PAUSES_S = before  # type: ignore[misc]


def python_policy(name: str) -> Description:
    return msgspec.structs.replace(description(name), kind="python")


def work(payload: bytes = b"1") -> Work:
    return Work(dialect="openpi", robot="", payload=payload, seed=(1,))


async def started(replicas: FakeReplicas, limits: Limits | None = None) -> RayBackend:
    sources = [PolicySource(name=name, source=f"{name}-1") for name in ("one", "two")]
    backend = RayBackend(replicas, first_editions(sources), limits=limits or Limits(), times=SOON)
    await backend.start()
    return backend


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["answer", "kill", "cancel"]), st.integers(0, 7)),
    ),
    max_size=40,
)


class Play:
    """Requests, answers and deaths as the steps say, and what has to be true of them in the end."""

    def __init__(self, backend: RayBackend, replicas: FakeReplicas) -> None:
        self.backend = backend
        self.replicas = replicas
        self.asked: dict[bytes, asyncio.Task[Answer]] = {}
        self.answered: list[bytes] = []
        self.lost: list[bytes] = []

    async def step(self, number: int, what: str, which: int) -> None:
        calls = [call for call in self.replicas.calls if not call.future.done()]
        if what == "ask":
            payload = str(number).encode()
            answer = self.backend.answer("one", work(payload), Caller("t", f"ws-{which}"))
            self.asked[payload] = asyncio.ensure_future(answer)
        elif what == "answer" and calls:
            self.answer(calls[which % len(calls)])
        elif what == "kill":
            replica = which % self.replicas.count
            self.lost += [call.payload for call in calls if call.replica == replica]
            self.replicas.kill(replica)
        elif what == "cancel" and self.asked:
            self.asked[sorted(self.asked)[which % len(self.asked)]].cancel()
        await settled()

    def answer(self, call: Call) -> None:
        self.answered.append(call.payload)
        self.replicas.done(call)

    def check(self) -> None:
        assert len(self.answered) == len(set(self.answered))
        for payload, task in self.asked.items():
            assert task.done()
            if task.cancelled():
                continue
            if self.lost.count(payload) == 3:
                assert "3 replicas ended" in task.result().error
                assert payload not in self.answered
            else:
                assert task.result().payload == b"chunk of " + payload
                assert self.replicas.sent.count(payload) == 1 + self.lost.count(payload)
        sent_again = len(self.replicas.sent) - len(set(self.replicas.sent))
        assert sent_again <= self.backend.retried <= len(self.lost)
        load = self.backend.load("one")
        assert (load.waiting, load.running) == (0, 0)


@given(STEPS, st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_every_request_has_one_end_and_only_those_without_an_answer_are_sent_again(
    steps: list[tuple[str, int]], count: int
) -> None:
    async def run() -> None:
        replicas = FakeReplicas(count)
        backend = await started(replicas)
        play = Play(backend, replicas)
        for number, (what, which) in enumerate(steps):
            await play.step(number, what, which)
            assert len(replicas.calls) <= 2 * count
        while replicas.calls:
            play.answer(replicas.calls[0])
            await settled()
        play.check()
        await backend.close()

    asyncio.run(run())


@pytest.mark.asyncio
async def test_requests_that_were_lost_twice_are_tried_one_at_a_time() -> None:
    replicas = FakeReplicas()
    backend = await started(replicas)
    tasks = [asyncio.ensure_future(backend.answer("one", work(name), CALLER)) for name in (b"a", b"b", b"c")]
    for _ in range(2):
        await settled()
        assert len(replicas.calls) == 3
        replicas.kill(0)
        replicas.kill(1)
    await settled()
    # One of them may be what kills replicas: it must not take the others along.
    for _ in tasks:
        (call,) = replicas.calls
        replicas.done(call)
        await settled()
    assert [task.result().payload for task in tasks] == [b"chunk of a", b"chunk of b", b"chunk of c"]
    assert backend.retried == 6
    await backend.close()


@pytest.mark.asyncio
async def test_a_full_front_says_so_at_once() -> None:
    replicas = FakeReplicas(1)
    backend = await started(replicas, Limits(waiting=3, per_client=3))
    tasks = [asyncio.ensure_future(backend.answer("one", work(), CALLER)) for _ in range(5)]
    await settled()
    assert (backend.load("one").running, backend.load("one").waiting) == (2, 3)
    with refused(Busy, "full", "3"):
        await backend.answer("one", work(), CALLER)
    # The other policy has its own queue.
    other = asyncio.ensure_future(backend.answer("two", work(), CALLER))
    await settled()
    assert backend.load("two").running == 1
    await backend.close()
    for task in (*tasks, other):
        assert "ending" in str(task.exception())


@pytest.mark.asyncio
async def test_what_comes_too_late_expires_in_the_queue() -> None:
    replicas = FakeReplicas(1)
    backend = await started(replicas)
    tasks = [asyncio.ensure_future(backend.answer("one", work(), CALLER)) for _ in range(2)]
    await settled()
    with refused(Expired, "deadline"):
        await asyncio.wait_for(
            backend.answer("one", work(b"late"), CALLER, deadline_s=ray_lane.time.monotonic() + 0.03), 5
        )
    assert b"late" not in replicas.sent
    for call in list(replicas.calls):
        replicas.done(call)
    await asyncio.gather(*tasks)
    await backend.close()


@pytest.mark.asyncio
async def test_what_nobody_waits_for_is_given_up_at_the_replica_too() -> None:
    replicas = FakeReplicas()
    backend = await started(replicas)
    task = asyncio.ensure_future(backend.answer("one", work(b"gone"), CALLER))
    await settled()
    task.cancel()
    await settled()
    assert replicas.given_up == [b"gone"]
    assert backend.load("one").running == 0
    await backend.close()


@pytest.mark.asyncio
async def test_a_swap_takes_over_between_two_requests_and_other_fronts_hear_of_it() -> None:
    replicas = FakeReplicas()
    backend, other = await started(replicas), await started(replicas)
    before = asyncio.ensure_future(backend.answer("one", work(b"before"), CALLER))
    await settled()
    assert (await backend.swap("one", "one-2")).name == "one-2"
    assert backend.describe("one").name == "one-2"
    assert backend.describe("two").name == "two-1"
    await asyncio.sleep(0.04)
    assert other.describe("one").name == "one-2"
    # What was begun with the old one is answered by it, and only then it goes; the other front has nothing to wait for.
    assert replicas.retired == ["one-1"]
    replicas.done(replicas.calls[0])
    assert (await before).payload == b"chunk of before"
    await asyncio.sleep(0.04)
    assert replicas.retired == ["one-1", "one-1"]
    # A front that comes later begins with it.
    third = await started(replicas)
    assert third.describe("one").name == "one-2"
    for one in (backend, other, third):
        await one.close()
    assert replicas.opened == 0


@pytest.mark.asyncio
async def test_a_swap_that_cannot_be_leaves_all_as_it_was() -> None:
    replicas = FakeReplicas()
    backend = await started(replicas)
    replicas.loaded["broken"] = "broken: no bundle.json in it"
    replicas.loaded["other"] = description("other")
    with refused(SwapRefused, "goes on as it was", "no bundle.json"):
        await backend.swap("one", "broken")
    with refused(SwapRefused, "goes on as it was", "does not fit", "force"):
        await backend.swap("one", "other")
    assert backend.describe("one").name == "one-1"
    assert replicas.retired == ["broken", "other"]
    assert (await backend.swap("one", "other", force=True)).kind == "bundle"
    with refused(SwapRefused, "python:os:getcwd", "decided when the server is started"):
        await backend.swap("one", "python:os:getcwd", force=True)
    with refused(UnknownPolicy, "three", "one, two"):
        await backend.swap("three", "x")
    await backend.close()


@pytest.mark.asyncio
async def test_what_nobody_foresaw_is_an_answer_too(capsys: pytest.CaptureFixture[str]) -> None:
    replicas = FakeReplicas()
    backend = await started(replicas)
    task = asyncio.ensure_future(backend.answer("one", work(), CALLER))
    await settled()
    replicas.calls[0].future.set_exception(ValueError("no such\nbytes"))
    assert "ValueError: no such bytes" in (await asyncio.wait_for(task, 5)).error
    assert backend.load("one").running == 0
    await backend.close()


@pytest.mark.asyncio
async def test_an_answer_of_other_weights_than_the_clients_know_is_none() -> None:
    replicas = FakeReplicas()
    backend = await started(replicas)
    replicas.digest = "cd" * 32
    task = asyncio.ensure_future(backend.answer("one", work(), CALLER))
    await settled()
    replicas.done(replicas.calls[0])
    answer = await task
    assert (answer.payload, answer.fault) == (b"", "bundle")
    assert "other weights" in answer.error
    await backend.close()
