"""Workers that are started, die and are replaced as the test says; no process, no waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving.test_dispatcher import CALLER, FakeWorker, work
from unichunk.runtime.errors import PolicyError
from unichunk.server.serving import crew as crew_module
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.crew import Crew
from unichunk.server.serving.dispatcher import Dispatcher
from unichunk.server.serving.source import PolicySource
from unichunk.server.serving.watch import NoWatch
from unichunk.server.serving.work import Answer

if TYPE_CHECKING:
    from unichunk.server.serving.worker_client import WorkerClient

real_sleep = asyncio.sleep


class Process(FakeWorker):
    """A worker that knows whether it was ended."""

    ended = False

    async def end(self, end_s: float = 5.0) -> None:
        self.ended = True


class Reasons(NoWatch):
    def __init__(self) -> None:
        self.all: list[str] = []

    def restarted(self, policy: str, reason: str) -> None:
        self.all.append(reason)


class Office:
    """Starts workers when the test lets it, and writes down how long nobody was started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, replicas: int = 1) -> None:
        self.started: list[Process] = []
        self.pauses: list[float] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.deaf = False
        monkeypatch.setattr(crew_module, "start_worker", self.start_worker)
        monkeypatch.setattr(crew_module.asyncio, "sleep", self.sleep)
        self.watch = Reasons()
        self.dispatcher = Dispatcher("p", Limits(), self.watch, retry_s=60.0)
        source = PolicySource(name="p", source="anything", replicas=replicas)
        self.crew = Crew(source, self.dispatcher, self.watch, start_s=1.0, end_s=1.0)

    async def start_worker(self, source: PolicySource, events: Any, *, start_s: float) -> Process:
        await real_sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        worker = Process()
        self.started.append(worker)
        if len(self.started) > 1:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        return worker

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await real_sleep(0)

    async def open(self) -> None:
        await self.crew.start()
        self.dispatcher.switch(self.crew.workers)

    def die(self, worker: Any) -> None:
        self.crew.died(worker, "it died")

    async def until_started(self, count: int) -> Process:
        for _ in range(1000):
            if len(self.started) == count and self.started[-1] in self.crew.workers:
                return self.started[-1]
            await real_sleep(0)
        raise AssertionError(f"{len(self.started)} were started, not {count}")


def test_who_answered_is_replaced_at_once_and_who_never_did_after_a_pause_that_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        office = Office(monkeypatch)
        await office.open()
        for count in range(1, 5):
            worker: Any = office.started[-1]
            asking = asyncio.ensure_future(office.dispatcher.answer(work(1), CALLER, None))
            await real_sleep(0)
            office.crew.answered(worker, next(iter(worker.has)), Answer(payload=b"fine"))
            assert (await asking).payload == b"fine"
            office.die(worker)
            await office.until_started(count + 1)
        assert office.pauses == []
        for count in range(5, 15):
            office.die(office.started[-1])
            await office.until_started(count + 1)
        assert office.pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        assert office.watch.all == ["it died"] * 14

    asyncio.run(run())


def test_it_goes_on_trying_to_start_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        office = Office(monkeypatch)
        await office.open()
        office.failures = [PolicyError("the disk is gone"), OSError("no more processes")]
        asking = asyncio.ensure_future(office.dispatcher.answer(work(1), CALLER, None))
        await real_sleep(0)
        office.die(office.started[0])
        worker: Any = await office.until_started(2)
        office.crew.answered(worker, next(iter(worker.has)), Answer(payload=b"fine"))
        assert (await asking).payload == b"fine"
        assert office.watch.all == ["it died", "the disk is gone", "no more processes"]
        assert office.pauses == [0.25, 0.5]

    asyncio.run(run())


def test_one_that_dies_while_others_load_fails_the_start_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        office = Office(monkeypatch, replicas=3)
        office.gate.clear()
        starting = asyncio.ensure_future(office.crew.start())
        while len(office.started) < 3:
            await real_sleep(0)
        office.die(office.started[0])
        office.gate.set()
        with pytest.raises(PolicyError, match="it died"):
            await starting
        assert all(worker.ended for worker in office.started)
        assert len(office.started) == 3

    asyncio.run(run())


def test_one_that_cannot_be_started_fails_the_start_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        office = Office(monkeypatch, replicas=2)
        office.failures = [PolicyError("no such bundle")]
        with pytest.raises(PolicyError, match="no such bundle"):
            await office.crew.start()
        assert all(worker.ended for worker in office.started)

    asyncio.run(run())


def test_once_it_ends_nobody_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        office = Office(monkeypatch, replicas=2)
        await office.open()
        first: WorkerClient = office.crew.workers[0]
        office.gate.clear()
        office.die(first)
        await real_sleep(0)
        await office.crew.end()
        assert not office.crew.workers
        office.die(first)
        await real_sleep(0)
        assert not office.crew._replacements

    asyncio.run(run())


@pytest.mark.parametrize("deaf", [False, True], ids=["is cancelled", "misses that it was cancelled"])
def test_a_replacement_that_comes_up_while_another_crew_takes_over_joins_nobody(
    monkeypatch: pytest.MonkeyPatch, *, deaf: bool
) -> None:
    async def run() -> None:
        office = Office(monkeypatch)
        await office.open()
        office.gate.clear()
        office.die(office.started[0])
        while len(office.started) < 2:
            await real_sleep(0)
        office.deaf = deaf
        new = Process()
        office.crew.replace_no_more()
        office.dispatcher.switch([new])
        office.gate.set()
        await office.crew.leave()
        late = office.started[1]
        assert late.ended == deaf, "it is ended by whoever started it"
        assert office.dispatcher.load().workers == 1
        asking = asyncio.ensure_future(office.dispatcher.answer(work(1), CALLER, None))
        await real_sleep(0)
        assert (len(new.has), len(late.has)) == (1, 0)
        office.dispatcher.close()
        with pytest.raises(PolicyError, match="ending"):
            await asking

    asyncio.run(run())
