"""Policies in a real, local Ray cluster of two replicas: asked, killed, swapped, filled up and ended.

One cluster for the whole module: starting one takes longer than everything that is tested with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.serving.ray_service import make
from unichunk.server.serving.admission import Limits
from unichunk.server.serving.backend import Busy, Caller, SwapRefused
from unichunk.server.serving.load_policy import load_policy
from unichunk.server.serving.ray_options import RayOptions
from unichunk.server.serving.served_policy import Timing
from unichunk.server.serving.source import PolicySource
from unichunk.server.serving.watch import NoWatch
from unichunk.server.serving.work import Work
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unichunk.server.serving.ray_app import RayParts
    from unichunk.server.serving.ray_backend import RayBackend

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

HERE = "python:tests.serving.python_policies:"
PATIENCE_S = 60.0


class Counting(NoWatch):
    """Counts what matters here."""

    def __init__(self) -> None:
        self.retries = 0
        self.ends: list[str] = []

    def retried(self, policy: str) -> None:
        self.retries += 1

    def restarted(self, policy: str, reason: str) -> None:
        assert "\n" not in reason
        self.ends.append(reason)


@dataclass
class Cluster:
    """What is running."""

    parts: RayParts
    watch: Counting
    bundle: PolicySource

    @property
    def backend(self) -> RayBackend:
        return self.parts.backend

    async def ask(self, session: str, policy: str = "told", **what: Any) -> dict[str, Any]:
        work = Work(dialect="openpi", robot="", payload=pack(what), seed=(1,))
        answer = await self.backend.answer(policy, work, Caller("tests", session))
        assert not answer.error, answer.error
        return unpack(answer.payload)

    async def pids(self) -> dict[str, int]:
        """Session -> the replica it is with, of sessions enough to have met both."""
        return {session: (await self.ask(session))["pid"] for session in (f"look-{n}" for n in range(24))}

    def websocket(self, policy: str) -> connect:
        return connect(f"ws://127.0.0.1:{self.parts.port}/{policy}", compression=None, max_size=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    # Here and not above: Ray takes seconds to import, also in a run that needs none of this.
    from unichunk.server.serving.ray_app import ProxyAddress, ray_parts

    folder = write_tiny_bundle(tmp_path_factory.mktemp("ray") / "tiny", embodiments=("so101",), noise="own")
    bundle = PolicySource(name="tiny", source=str(folder))
    sources = [PolicySource(name="told", source=HERE + "Told"), bundle, PolicySource(name="noop", source=HERE + "Noop")]
    watch = Counting()
    parts = ray_parts(
        # Room for two of the three policies: the third one is loaded when somebody asks for it.
        RayOptions(replicas=2, most_replicas=2, cpus=0.5, policies=2, memory_mb=80, start_s=90.0),
        sources,
        http=ProxyAddress("127.0.0.1", 0),
        make=make,
        limits=Limits(patience_s=PATIENCE_S),
        drain_timeout_s=5.0,
        watch=watch,
    )
    before = ray_processes()
    try:
        await parts.backend.start()
        assert parts.front is not None
        await parts.front.start()
        yield Cluster(parts, watch, bundle)
    finally:
        if parts.front is not None:
            await parts.front.stop()
        await parts.backend.close()
    for _ in range(100):
        if ray_processes() <= before:
            break
        await asyncio.sleep(0.1)
    assert ray_processes() <= before


async def test_autoscaling_is_said_in_words_that_ray_takes() -> None:
    from unichunk.server.serving.ray_cluster import RayCluster

    sources = [PolicySource(name="told", source=HERE + "Told", max_batch=4)]
    deployment = RayCluster(RayOptions(replicas=1, most_replicas=4, gpus=0.5), sources)._replicas(1)
    scaling = deployment._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (1, 4, 1.5)
    assert deployment.ray_actor_options["num_gpus"] == 0.5


async def test_replicas_give_the_answers_that_the_policy_gives(cluster: Cluster) -> None:
    served = load_policy(cluster.bundle)
    observation = dict(unpack(served.describe().handshake["so101"])["example_observation"])
    work = Work(dialect="openpi", robot="", payload=pack(observation), seed=(3, 1, 4))
    expected = unpack(served.encode(*_inferred(served, work), Timing(0.0, 0.0)))
    for session in range(6):
        answer = await cluster.backend.answer("tiny", work, Caller("tests", f"same-{session}"))
        found = unpack(answer.payload)
        assert set(found) == set(expected)
        for name in served.describe().handshake and (set(expected) - {"policy_timing", "server_timing"}):
            np.testing.assert_array_equal(found[name], expected[name])
    assert cluster.backend.describe("tiny").digest == served.describe().digest


async def test_a_session_stays_with_its_replica_and_both_have_some(cluster: Cluster) -> None:
    homes = await cluster.pids()
    assert len(set(homes.values())) == 2
    for _ in range(3):
        assert await cluster.pids() == homes
    assert cluster.backend.load("told").workers == 2


async def test_a_replica_loads_what_it_is_asked_for(cluster: Cluster) -> None:
    assert "echo" not in await cluster.ask("third", "noop")
    assert (await cluster.ask("first", echo=5))["echo"] == 5
    async with cluster.websocket("noop") as socket:
        assert unpack(await received(socket))["made_by"] == "a test"


async def test_a_replica_killed_under_load_loses_no_request(cluster: Cluster) -> None:
    homes = await cluster.pids()
    victim = homes["look-0"]
    answers: list[tuple[int, int, int]] = []

    async def client(number: int) -> None:
        for request in range(15):
            answer = await cluster.ask(f"client-{number}", echo=request, sleep_s=0.03)
            answers.append((number, answer["echo"], answer["pid"]))

    async def socket_client(number: int) -> None:
        async with cluster.websocket("told") as socket:
            await received(socket)
            for request in range(15):
                await socket.send(pack({"echo": request, "sleep_s": 0.03}))
                answer = unpack(await received(socket))
                answers.append((number, answer["echo"], answer["pid"]))

    kinds = [client] * 6 + [socket_client] * 2
    clients = [asyncio.ensure_future(kind(number)) for number, kind in enumerate(kinds)]
    await eventually(lambda: len([answer for answer in answers if answer[2] == victim]) > 10)
    os.kill(victim, signal.SIGKILL)
    await asyncio.wait_for(asyncio.gather(*clients), PATIENCE_S)
    # Each client has each of its answers, once and in order.
    for number in range(8):
        assert [echo for client, echo, _ in answers if client == number] == list(range(15))
    assert cluster.watch.retries >= 1
    assert cluster.backend.retried == cluster.watch.retries
    # Another one takes its place, and sessions find it.
    await eventually(lambda: cluster.backend.load("told").workers == 2)
    survivors = set(homes.values()) - {victim}
    for _ in range(100):
        if len(set((await cluster.pids()).values())) == 2:
            break
        await asyncio.sleep(0.1)
    now = await cluster.pids()
    assert len(set(now.values())) == 2
    assert victim not in now.values()
    # Who was with the one that lives on has stayed, unless the new one is what its name hashes to.
    assert survivors < set(now.values())


async def test_a_request_that_kills_replicas_is_given_up_and_others_go_on(cluster: Cluster) -> None:
    work = Work(dialect="openpi", robot="", payload=pack({"die": True}), seed=(1,))
    poison = asyncio.ensure_future(cluster.backend.answer("told", work, Caller("tests", "poison")))
    for number in range(10):
        assert (await cluster.ask("innocent", echo=number, sleep_s=0.05))["echo"] == number
    answer = await asyncio.wait_for(poison, PATIENCE_S)
    assert "3 replicas ended with this request" in answer.error
    assert answer.fault == "policy"


async def test_a_swap_is_heard_of_everywhere_and_nobody_is_dropped(cluster: Cluster) -> None:
    with refused(SwapRefused, "goes on as it was", "no bundle.json there"):
        await cluster.backend.swap("told", "no/such/folder")
    with refused(SwapRefused, "decided when the server is started"):
        await cluster.backend.swap("told", HERE + "broken")
    going = True

    async def client() -> int:
        count = 0
        async with cluster.websocket("told") as socket:
            await received(socket)
            while going or count < 3:
                await socket.send(pack({"echo": 1}))
                swapped.append("echo" not in unpack(await received(socket)))
                count += 1
        return count

    swapped: list[bool] = []
    task = asyncio.ensure_future(client())
    await eventually(lambda: len(swapped) > 3)
    description = await cluster.backend.swap("told", HERE + "Noop")
    assert description.handshake
    assert "echo" not in await cluster.ask("driver")
    await eventually(lambda: swapped[-1])
    going = False
    await task
    # Once it answers it is the only one that does.
    assert swapped == sorted(swapped)
    await cluster.backend.swap("told", HERE + "Told")
    assert (await cluster.ask("driver", echo=2))["echo"] == 2


async def test_a_full_front_says_so_at_once(cluster: Cluster) -> None:
    tasks = [asyncio.ensure_future(cluster.ask("many", echo=n, sleep_s=0.1)) for n in range(40)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    busy = [result for result in results if isinstance(result, Busy)]
    assert len(busy) > 10
    with refused(Busy, "full"):
        raise busy[0]
    assert all(isinstance(result, dict | Busy) for result in results)


async def test_what_is_given_up_does_not_keep_a_replica_busy(cluster: Cluster) -> None:
    task = asyncio.ensure_future(cluster.ask("gone", sleep_s=0.5))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
    assert cluster.backend.load("told").running == 0
    assert (await cluster.ask("gone", echo=1))["echo"] == 1


async def test_the_end_is_told_to_those_who_are_connected(cluster: Cluster) -> None:
    """The last one: it ends what clients connect to."""
    async with cluster.websocket("told") as socket:
        await received(socket)
        await socket.send(pack({"echo": 7, "sleep_s": 0.5}))
        assert cluster.parts.front is not None
        ending = asyncio.ensure_future(cluster.parts.front.stop())
        # What was begun is answered before.
        assert unpack(await received(socket))["echo"] == 7
        with pytest.raises(ConnectionClosed) as closed:
            await received(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        await ending


def _inferred(served: Any, work: Work) -> tuple[Any, Any]:
    call = served.decode(work)
    return call, served.infer([call])[0]


async def received(socket: ClientConnection) -> bytes:
    message = await asyncio.wait_for(socket.recv(), PATIENCE_S)
    assert isinstance(message, bytes), message
    return message


async def eventually(true: Any) -> None:
    async def wait() -> None:
        while not true():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(wait(), PATIENCE_S)


def ray_processes() -> set[int]:
    """Processes of any Ray cluster of this machine."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"raylet" in command or b"gcs_server" in command or command.startswith(b"ray::"):
            found.add(int(folder.name))
    return found
