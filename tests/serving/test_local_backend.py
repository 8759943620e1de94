"""Policies in real worker processes: killed, hung, poisoned, swapped and left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.run.processes import eventually
from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.backend import Caller, Expired, SwapRefused, UnknownPolicy
from unichunk.server.serving.local_backend import LocalBackend, WorkerTimes
from unichunk.server.serving.source import PolicySource
from unichunk.server.serving.watch import NoWatch
from unichunk.server.serving.work import Answer, Work
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


HERE = "python:tests.serving.python_policies:"
PATIENT = Limits(waiting=500, per_tenant=500, per_client=500, patience_s=60.0)


class Counting(NoWatch):
    """Counts what matters here."""

    def __init__(self) -> None:
        self.retries = 0
        self.restarts: list[str] = []

    def retried(self, policy: str) -> None:
        self.retries += 1

    def restarted(self, policy: str, reason: str) -> None:
        assert "\n" not in reason
        self.restarts.append(reason)


@asynccontextmanager
async def serving(
    factory: str = "Told", *, replicas: int = 1, watch: NoWatch | None = None
) -> AsyncIterator[LocalBackend]:
    source = PolicySource(name="told", source=HERE + factory, replicas=replicas)
    backend = LocalBackend([source], limits=PATIENT, watch=watch, times=WorkerTimes(start_s=60.0, hang_s=60.0))
    await backend.start()
    pids = backend.workers("told")
    try:
        yield backend
    finally:
        pids += backend.workers("told")
        await backend.close()
        assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # What nobody has asked after yet is dead all the same.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def workers_of_this_process() -> int:
    """Worker processes that this one has started, and that are alive."""
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
                ours = int(parent) == os.getpid() and state != "Z"
                count += ours and b"worker_process" in (entry / "cmdline").read_bytes()
    return count


async def ask(backend: LocalBackend, number: int = 0, **what: Any) -> Answer:
    work = Work(dialect="openpi", robot="", payload=pack({"echo": number, **what}), seed=(number,))
    return await backend.answer("told", work, Caller(f"key {number % 3}", f"client {number % 7}"))


def result(answer: Answer) -> dict[str, Any]:
    assert not answer.error, answer.error
    found: dict[str, Any] = unpack(answer.payload)
    return found


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def test_killed_under_load_nothing_is_lost_and_the_dead_are_replaced() -> None:
    async def run() -> None:
        watch = Counting()
        async with serving(replicas=2, watch=watch) as backend:
            before = backend.workers("told")
            tasks = [asyncio.ensure_future(ask(backend, number, sleep_s=0.004)) for number in range(80)]
            await until(tasks[20].done)
            os.kill(before[0], signal.SIGKILL)
            answers = [result(answer) for answer in await asyncio.gather(*tasks)]
            assert [answer["echo"] for answer in answers] == list(range(80))
            assert watch.retries >= 1
            assert len(watch.restarts) == 1
            assert "killed by SIGKILL" in watch.restarts[0]
            await until(lambda: len(backend.workers("told")) == 2)
            assert before[0] not in backend.workers("told")
            # Neither a terminal nor a service manager ends a worker: the server does.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(before[1], number)
            await asyncio.gather(*(ask(backend, number) for number in range(10)))
            assert before[1] in backend.workers("told")

    asyncio.run(run())


def test_a_poisonous_request_ends_two_workers_and_no_third_and_spoils_nothing_for_others() -> None:
    async def run() -> None:
        watch = Counting()
        async with serving("Batched", replicas=2, watch=watch) as backend:
            poison = asyncio.ensure_future(ask(backend, 1000, die=True))
            others = [asyncio.ensure_future(ask(backend, number, sleep_s=0.002)) for number in range(30)]
            answer = await poison
            assert "two workers" in answer.error
            assert "\n" not in answer.error
            assert [result(answer)["echo"] for answer in await asyncio.gather(*others)] == list(range(30))
            assert result(await ask(backend, 7))["echo"] == 7
            assert len(watch.restarts) == 2

    asyncio.run(run())


def test_a_worker_that_hangs_is_killed_and_errors_of_requests_are_theirs_alone() -> None:
    async def run() -> None:
        watch = Counting()
        async with serving(watch=watch) as backend:
            pid = backend.workers("told")[0]
            failed = await ask(backend, 1, **{"raise": "no such\ngripper"})
            assert (failed.error, failed.fault) == ("the policy failed (ValueError: no such gripper)", "policy")
            work = Work(dialect="openpi", robot="", payload=b"\xc1 no msgpack", seed=(0,))
            malformed = await backend.answer("told", work, Caller("", ""))
            assert malformed.fault == "message"
            assert "\n" not in malformed.error
            assert result(await ask(backend, 2))["pid"] == pid
            slow = asyncio.ensure_future(ask(backend, 5, sleep_s=0.2))
            await asyncio.sleep(0)
            late = Work(dialect="openpi", robot="", payload=pack({"echo": 6}), seed=(6,))
            with refused(Expired, "deadline had passed"):
                await backend.answer("told", late, Caller("", ""), deadline_s=time.monotonic() + 0.1)
            assert result(await slow)["echo"] == 5
            # Only now, and only as long as one hangs: a busy machine makes all others slow, too.
            usual, backend._times = backend._times, WorkerTimes(hang_s=0.1)
            hung = asyncio.ensure_future(ask(backend, 3, sleep_s=600.0))
            after = asyncio.ensure_future(ask(backend, 4))
            assert "answered nothing for 0.1 s" in (await hung).error
            backend._times = usual
            assert result(await after)["echo"] == 4
            assert len(watch.restarts) == 2

    asyncio.run(run())


def test_swapped_under_load_nothing_is_lost_and_a_failure_leaves_what_was_there() -> None:
    async def run() -> None:
        async with serving(replicas=2) as backend:
            before = set(backend.workers("told"))
            going, seen = True, []

            async def client(number: int) -> None:
                while going:
                    seen.append(result(await ask(backend, number, sleep_s=0.002))["pid"])

            clients = [asyncio.ensure_future(client(number)) for number in range(8)]
            for source, words in (
                ("no/such/folder", "no bundle.json there"),
                (HERE + "broken", "decided when the server is started"),
            ):
                with pytest.raises(SwapRefused, match=words) as caught:
                    await backend.swap("told", source)
                assert "\n" not in str(caught.value)
            assert set(backend.workers("told")) == before
            description = await backend.swap("told", HERE + "Told")
            assert description == backend.describe("told")
            assert not before & set(backend.workers("told"))
            await until(lambda: not any(alive(pid) for pid in before))
            seen.clear()
            await until(lambda: len(seen) > 20)
            going = False
            await asyncio.gather(*clients)
            assert set(seen) <= set(backend.workers("told"))

    asyncio.run(run())


def test_bundles_are_swapped_where_they_fit_or_are_forced(tmp_path: Path) -> None:
    first, newer, longer = (
        str(write_tiny_bundle(tmp_path / name, chunk_length=rows, denoising_steps=steps))
        for name, rows, steps in (("first", 8, 2), ("newer", 8, 1), ("longer", 12, 2))
    )

    async def run() -> None:
        backend = LocalBackend([PolicySource(name="told", source=first)], limits=PATIENT)
        await backend.start()
        handshake = unpack(backend.describe("told").handshake["so101"])
        work = Work(dialect="openpi", robot="", payload=pack(handshake["example_observation"]), seed=(0,))
        going, lengths = True, []

        async def client(name: str) -> None:
            while going:
                answer = await backend.answer("told", work, Caller("key", name))
                assert not answer.error, answer.error
                lengths.append(len(unpack(answer.payload)["actions"]))

        clients = [asyncio.ensure_future(client(name)) for name in "abc"]
        before = backend.describe("told").digest
        fitting = await backend.swap("told", newer)
        assert fitting.digest == backend.describe("told").digest != before
        with pytest.raises(SwapRefused, match="chunks have 12 rows instead of 8"):
            await backend.swap("told", longer)
        with pytest.raises(SwapRefused, match="Python"):
            await backend.swap("told", HERE + "Told", force=True)
        assert backend.describe("told") == fitting
        await until(lambda: workers_of_this_process() == 1)
        assert set(lengths) == {8}
        swapping = asyncio.ensure_future(backend.swap("told", longer, force=True))
        await asyncio.sleep(0)
        with pytest.raises(SwapRefused, match="already"):
            await backend.swap("told", first)
        await swapping
        await until(lambda: lengths[-1] == 12)
        going = False
        await asyncio.gather(*clients)
        await backend.close()

    asyncio.run(run())


def test_what_cannot_be_loaded_is_said_in_one_line_and_leaves_no_process() -> None:
    async def run() -> None:
        for factory, words in (
            ("broken", ["cannot be loaded", "the weights are not there"]),
            ("missing", ["cannot be loaded", "no function 'missing'"]),
        ):
            with refused(PolicyError, *words):
                async with serving(factory, replicas=2 if factory == "broken" else 1):
                    pass
        backend = LocalBackend(
            [PolicySource(name="slow", source=HERE + "sleepy")], times=WorkerTimes(start_s=0.5, end_s=0.1)
        )
        with refused(PolicyError, "slow", "was not loaded within 0.5 s"):
            await backend.start()
        with refused(UnknownPolicy, "'slow'"):
            backend.describe("slow")
        await backend.close()
        assert workers_of_this_process() == 0

    asyncio.run(run())


def test_workers_end_with_the_server_however_that_ends(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from unichunk.server.serving.local_backend import LocalBackend\n"
        "from unichunk.server.serving.source import PolicySource\n"
        "async def run():\n"
        f"    backend = LocalBackend([PolicySource(name='p', source='{HERE}Told')])\n"
        "    await backend.start()\n"
        "    print(backend.workers('p')[0], flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(run())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert alive(pid)
        server.kill()
    eventually(lambda: not alive(pid))
