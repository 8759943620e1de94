"""Requests on their way to workers that answer, die, hang and leave as they are told; no process, no waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.backend import Busy, Caller, Expired
from unichunk.server.serving.dispatcher import Dispatcher
from unichunk.server.serving.pipeline import LATE
from unichunk.server.serving.watch import NoWatch
from unichunk.server.serving.work import Answer, Description, Work

if TYPE_CHECKING:
    from collections.abc import Coroutine

CALLER = Caller("key", "client")


def work(number: int) -> Work:
    return Work(dialect="openpi", robot="", payload=b"%d" % number, seed=(number,))


class FakeWorker:
    """Keeps what it is given until the test says what becomes of it."""

    def __init__(self, max_batch: int = 1) -> None:
        self.has: dict[int, bytes] = {}
        self.got: list[bytes] = []
        self.forgotten: list[int] = []
        self.killed = ""
        self.most = 2 * max_batch
        self.description = Description(
            name="",
            kind="python",
            digest="",
            robots=(),
            manifest=b"",
            max_batch=max_batch,
            refinement_rounds=0,
            handshake={},
            modality={},
            service_s=0.0,
        )

    def send(self, ticket: int, work: Work, deadline_s: float | None) -> None:
        self.has[ticket] = work.payload
        self.got.append(work.payload)
        assert len(self.has) <= self.most

    def forget(self, ticket: int) -> None:
        assert ticket in self.has
        self.forgotten.append(ticket)

    def kill(self, reason: str) -> None:
        self.killed = reason


class Desk:
    """A dispatcher, and tasks that wait for its answers."""

    def __init__(self, *workers: FakeWorker, limits: Limits | None = None) -> None:
        self.dispatcher = Dispatcher("tiny", limits or Limits(), NoWatch(), retry_s=60.0)
        self.dispatcher.switch(workers)
        self.asked = 0

    async def ask(self, caller: Caller = CALLER, deadline_s: float | None = None) -> asyncio.Task[Answer]:
        task = asyncio.ensure_future(self.dispatcher.answer(work(self.asked), caller, deadline_s))
        self.asked += 1
        await asyncio.sleep(0)
        return task

    def reply(self, worker: FakeWorker) -> None:
        """The worker answers its oldest request with the request's own payload."""
        ticket = next(iter(worker.has))
        self.dispatcher.answered(worker, ticket, Answer(payload=worker.has.pop(ticket), infer_s=0.001))

    def die(self, worker: FakeWorker) -> None:
        worker.has.clear()
        self.dispatcher.lost(worker, "killed by the test")


def in_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_the_next_request_goes_to_a_worker_before_it_is_free_and_no_further_one() -> None:
    async def run() -> None:
        worker = FakeWorker()
        desk = Desk(worker)
        tasks = [await desk.ask() for _ in range(4)]
        assert worker.got == [b"0", b"1"]
        desk.reply(worker)
        assert worker.got == [b"0", b"1", b"2"]
        assert (await tasks[0]).payload == b"0"
        for _ in range(3):
            desk.reply(worker)
        assert [(await task).payload for task in tasks[1:]] == [b"1", b"2", b"3"]

    in_loop(run())


def test_requests_spread_over_the_workers() -> None:
    async def run() -> None:
        workers = [FakeWorker(4), FakeWorker(4)]
        desk = Desk(*workers)
        tasks = [await desk.ask() for _ in range(4)]
        assert [len(worker.has) for worker in workers] == [2, 2]
        for worker in workers:
            desk.reply(worker)
            desk.reply(worker)
        await asyncio.gather(*tasks)

    in_loop(run())


def test_a_dead_workers_requests_are_each_tried_once_more_alone_and_only_the_poison_is_refused() -> None:
    async def run() -> None:
        first, second = FakeWorker(2), FakeWorker(2)
        desk = Desk(first)
        tasks = [await desk.ask() for _ in range(4)]
        later = await desk.ask()
        desk.die(first)
        desk.dispatcher.add(second)
        assert second.got == [b"0"], "one at a time, before all others"
        desk.die(second)
        answer = await tasks[0]
        assert "two workers" in answer.error
        assert "\n" not in answer.error
        third = FakeWorker(2)
        desk.dispatcher.add(third)
        for number in (1, 2, 3):
            assert list(third.has.values()) == [b"%d" % number]
            desk.reply(third)
        desk.reply(third)
        assert [(await task).payload for task in [*tasks[1:], later]] == [b"1", b"2", b"3", b"4"]

    in_loop(run())


def test_a_suspect_gets_a_worker_for_itself_while_the_others_go_on() -> None:
    async def run() -> None:
        dying, one, other = FakeWorker(), FakeWorker(), FakeWorker()
        desk = Desk(dying)
        suspect = await desk.ask()
        # The others get their first requests before the one dies.
        desk.dispatcher.add(one)
        desk.dispatcher.add(other)
        tasks = [await desk.ask() for _ in range(6)]
        desk.die(dying)
        for _ in range(12):
            for worker in (one, other):
                if b"0" in worker.has.values():
                    assert len(worker.has) == 1
                if worker.has:
                    desk.reply(worker)
        assert (await suspect).payload == b"0"
        assert {(await task).payload for task in tasks} == {b"%d" % number for number in range(1, 7)}

    in_loop(run())


def test_a_suspect_does_not_wait_for_the_queue_to_be_empty() -> None:
    async def run() -> None:
        dying, other = FakeWorker(), FakeWorker()
        desk = Desk(dying)
        suspect = await desk.ask()
        desk.dispatcher.add(other)
        tasks = [await desk.ask() for _ in range(9)]
        desk.die(dying)
        before = len(other.has)
        for _ in range(before):
            desk.reply(other)
        assert list(other.has.values()) == [b"0"]
        while other.has:
            desk.reply(other)
        await asyncio.gather(suspect, *tasks)

    in_loop(run())


def test_cancelling_takes_a_request_out_of_the_queue_and_tells_a_worker_that_has_it() -> None:
    async def run() -> None:
        worker = FakeWorker()
        desk = Desk(worker)
        tasks = [await desk.ask() for _ in range(4)]
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks[1:3], return_exceptions=True)
        assert len(worker.forgotten) == 1
        # Its place is free only once the worker says so.
        assert worker.got == [b"0", b"1"]
        desk.reply(worker)
        desk.reply(worker)
        assert worker.got == [b"0", b"1", b"3"]
        desk.reply(worker)
        assert (await tasks[3]).payload == b"3"
        assert desk.dispatcher.load().running == 0

    in_loop(run())


def test_what_nobody_waits_for_is_not_tried_again() -> None:
    async def run() -> None:
        worker, other = FakeWorker(), FakeWorker()
        desk = Desk(worker)
        task = await desk.ask()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        desk.die(worker)
        desk.dispatcher.add(other)
        assert other.got == []

    in_loop(run())


def test_too_late_is_said_when_it_is_too_late() -> None:
    async def run() -> None:
        desk = Desk(limits=Limits(patience_s=0.02))
        task = await desk.ask()
        with pytest.raises(Expired, match="no worker was free"):
            await asyncio.wait_for(task, 10)
        with pytest.raises(Expired, match="deadline"):
            await (await desk.ask(deadline_s=0.0))
        worker = FakeWorker()
        desk.dispatcher.add(worker)
        assert worker.got == []

    in_loop(run())


def test_what_came_too_late_in_a_worker_has_expired_like_what_came_too_late_in_the_queue() -> None:
    async def run() -> None:
        worker = FakeWorker()
        desk = Desk(worker)
        task = await desk.ask()
        desk.dispatcher.answered(worker, worker.has.popitem()[0], LATE)
        with pytest.raises(Expired, match="deadline had passed"):
            await task

    in_loop(run())


def test_a_full_queue_says_so_at_once() -> None:
    async def run() -> None:
        desk = Desk(limits=Limits(waiting=2))
        waiting = [await desk.ask(), await desk.ask()]
        with pytest.raises(Busy, match="the server is full") as caught:
            await (await desk.ask())
        assert caught.value.retry_after_s > 0
        desk.dispatcher.close()
        assert [type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == [PolicyError] * 2
        with pytest.raises(PolicyError, match="ending"):
            await (await desk.ask())

    in_loop(run())


def test_a_hung_worker_is_killed_an_idle_or_busy_one_is_not() -> None:
    async def run() -> None:
        hung, idle = FakeWorker(), FakeWorker()
        desk = Desk(hung)
        await desk.ask()
        desk.dispatcher.add(idle)
        desk.dispatcher.look_for_hung(30.0)
        assert (hung.killed, idle.killed) == ("", "")
        await asyncio.sleep(0.01)
        desk.dispatcher.look_for_hung(0.005)
        assert "answered nothing" in hung.killed
        assert idle.killed == ""

    in_loop(run())


def test_after_a_switch_new_workers_get_everything_and_old_ones_finish_theirs() -> None:
    async def run() -> None:
        old, new = FakeWorker(), FakeWorker()
        desk = Desk(old)
        tasks = [await desk.ask() for _ in range(4)]
        desk.dispatcher.switch([new])
        finished = asyncio.ensure_future(desk.dispatcher.finished(old))
        assert (old.got, new.got) == ([b"0", b"1"], [b"2", b"3"])
        desk.reply(old)
        await asyncio.sleep(0)
        assert not finished.done()
        desk.reply(old)
        await asyncio.wait_for(finished, 10)
        desk.reply(new)
        desk.reply(new)
        assert [(await task).payload for task in tasks] == [b"0", b"1", b"2", b"3"]

    in_loop(run())


def test_the_end_does_not_wait_for_a_worker_that_hangs_after_a_switch() -> None:
    async def run() -> None:
        old = FakeWorker()
        desk = Desk(old)
        task = await desk.ask()
        desk.dispatcher.switch([FakeWorker()])
        finished = asyncio.ensure_future(desk.dispatcher.finished(old))
        await asyncio.sleep(0)
        desk.dispatcher.close()
        await asyncio.wait_for(finished, 10)
        with pytest.raises(PolicyError, match="ending"):
            await task
        # Its answer may come all the same.
        desk.reply(old)

    in_loop(run())


class Chaos:
    """Takes random steps with a desk and its workers, and knows what it did."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.everyone: list[FakeWorker] = []
        self.workers = [self.hire(), self.hire()]
        self.leaving: list[FakeWorker] = []
        self.desk = Desk(*self.workers, limits=Limits(waiting=1000, per_tenant=1000, per_client=1000))
        self.tasks: list[asyncio.Task[Answer]] = []
        self.cancelled: set[int] = set()

    def hire(self) -> FakeWorker:
        worker = FakeWorker(self.data.draw(st.integers(1, 3)))
        self.everyone.append(worker)
        return worker

    @property
    def busy(self) -> list[FakeWorker]:
        return [worker for worker in (*self.workers, *self.leaving) if worker.has]

    async def ask(self) -> None:
        caller = Caller(self.data.draw(st.sampled_from("AB")), self.data.draw(st.sampled_from("xy")))
        self.tasks.append(await self.desk.ask(caller))

    async def reply(self) -> None:
        if self.busy:
            self.desk.reply(self.data.draw(st.sampled_from(self.busy)))

    async def die(self) -> None:
        if alive := [*self.workers, *self.leaving]:
            dead = self.data.draw(st.sampled_from(alive))
            (self.workers if dead in self.workers else self.leaving).remove(dead)
            self.desk.die(dead)

    async def cancel(self) -> None:
        if self.tasks:
            number = self.data.draw(st.integers(0, len(self.tasks) - 1))
            if self.tasks[number].cancel():
                self.cancelled.add(number)

    async def switch(self) -> None:
        self.leaving += self.workers
        self.workers = [self.hire()]
        self.desk.dispatcher.switch(self.workers)

    async def add(self) -> None:
        if len(self.workers) < 3:
            self.workers.append(self.hire())
            self.desk.dispatcher.add(self.workers[-1])

    def check(self) -> None:
        holders = [payload for worker in self.busy for payload in worker.has.values()]
        assert len(holders) == len(set(holders)), "a request is with two workers"
        for worker in self.busy:
            again = [payload for payload in worker.has.values() if self.tries(payload) == 2]
            assert not again or len(worker.has) == 1, "a suspect is not alone"

    def tries(self, payload: bytes) -> int:
        return sum(worker.got.count(payload) for worker in self.everyone)

    async def finish(self) -> None:
        await self.add()
        while self.busy:
            self.desk.reply(self.busy[0])
        for number, task in enumerate(self.tasks):
            payload = b"%d" % number
            assert self.tries(payload) <= 2
            if number not in self.cancelled:
                answer = await asyncio.wait_for(task, 10)
                # Refused only if two workers died with it.
                assert answer.payload == payload or (answer.error and self.tries(payload) == 2)
        await asyncio.gather(*self.tasks, return_exceptions=True)
        load = self.desk.dispatcher.load()
        assert (load.waiting, load.running) == (0, 0)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_happens_every_request_is_answered_once_and_tried_twice_at_most(data: st.DataObject) -> None:
    async def run() -> None:
        chaos = Chaos(data)
        steps = [chaos.ask, chaos.ask, chaos.reply, chaos.reply, chaos.die, chaos.cancel, chaos.switch, chaos.add]
        for step in data.draw(st.lists(st.sampled_from(range(len(steps))), max_size=60)):
            await steps[step]()
            await asyncio.sleep(0)
            chaos.check()
        await chaos.finish()

    in_loop(run())
