"""The whole proxy: real processes for policies, a real WebSocket for the robot."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.evaluation.blinding_campaign import POLICIES, frozen
from unichunk.embodiments.catalogue import load_spec
from unichunk.server.evaluation.blinding.mode import Mode
from unichunk.server.evaluation.blinding.proxy import Proxy
from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
from unichunk.server.evaluation.blinding.robot_route import robot_app
from unichunk.server.evaluation.errors import BundleChanged, NotFound, NotNow
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.http_server import HttpServer, address_of, reserve
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log
from unichunk.server.shipped_bundles import shipped_bundles
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from numpy.typing import NDArray
    from websockets.asyncio.client import ClientConnection

    from unichunk.server.evaluation.planning.plan import Plan

pytestmark = pytest.mark.asyncio
SPEC = load_spec("so101")
N = len(SPEC.joints)
H = 4
PATIENCE_S = 60.0


class Robot:
    """A robot in lockstep, which does what it is told."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.joints: NDArray[np.float32] = SPEC.rest.astype(np.float32)
        self.tick = 0
        self.lengths: set[int] = set()

    async def ask(self, **fields: Any) -> NDArray[np.float32]:
        image = np.random.default_rng(self.tick).integers(0, 255, (120, 160, 3)).astype(np.uint8)
        request = {"state": self.joints, "image.third_person": image, "tick": self.tick, "lockstep": True, **fields}
        await self._socket.send(pack(request))
        data = await asyncio.wait_for(self._socket.recv(), PATIENCE_S)
        assert isinstance(data, bytes)
        self.lengths.add(len(data))
        rows: NDArray[np.float32] = unpack(data)["actions"]
        self.joints, self.tick = rows[-1], self.tick + H
        return rows

    async def run(self, requests: int) -> NDArray[np.float32]:
        return np.concatenate([await self.ask() for _ in range(requests)])


@contextlib.asynccontextmanager
async def served(proxy: Proxy, folder: Path, *names: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """The address of robots, and their keys."""
    made = [new_key(name, Role.ROBOT, datetime.now(timezone.utc)) for name in names]
    made.append(new_key("ann", Role.OPERATOR, datetime.now(timezone.utc)))
    write_keys(folder / "keys.json", [record for _, record in made])
    app = robot_app(proxy, KeyRing(folder / "keys.json"))
    sockets = reserve("127.0.0.1", 0)
    server = HttpServer(app, sockets, limits=ClientLimits(), tls=None, log=Log(level="error"))
    await server.start()
    try:
        yield f"ws://{address_of(sockets[0])}/robot/", {record.name: key for key, record in made}
    finally:
        await server.stop()


def connecting(address: str, key: str) -> connect:
    return connect(address, additional_headers={"Authorization": f"Api-Key {key}"}, compression=None)


async def refused(address: str, key: str) -> int:
    with pytest.raises(InvalidStatus) as raised:
        async with connecting(address, key):
            pass
    return raised.value.response.status_code


def plan_of(folder: Path, **blinding: Any) -> Plan:
    sources = [POLICIES + "Waving", POLICIES + "Told", str(shipped_bundles("so101")[0])]
    return frozen(folder, sources, **({"rows": H, "equalized_ticks": H, "answer_ms": 0.0} | blinding))


@pytest.mark.processes
async def test_policies_of_three_kinds_behind_one_address(tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    events: list[tuple[str, str, str]] = []
    recorded: list[str] = []
    proxy = Proxy(plan_of(folder), folder, ProxyOptions(sim_robots=True), on_event=lambda *event: events.append(event))
    proxy.on_recorded = lambda trial, sha256: recorded.append(f"{trial} {len(sha256)}")
    await proxy.start()
    try:
        async with served(proxy, tmp_path, "arm", "leg") as (address, keys):
            assert await refused(address + "arm", "uck_nothing") == 401
            assert await refused(address + "arm", keys["leg"]) == 403
            assert await refused(address + "ann", keys["ann"]) == 403
            with pytest.raises(NotFound):
                proxy.arm("arm")
            proxy.hold("arm")
            async with connecting(address + "arm", keys["arm"]) as socket:
                assert unpack(await socket.recv())["rows"] == H
                assert await refused(address + "arm", keys["arm"]) == 409
                robot = Robot(socket)
                while not (proxy.robots and proxy.robots["arm"].connected):
                    await robot.ask()
                    await asyncio.sleep(0.02)
                for policy in range(3):
                    proxy.arm("arm")
                    while not proxy.robots["arm"].at_home:
                        await robot.ask()
                    proxy.run("arm", f"trial{policy}", policy, "follow the red block")
                    rows = await robot.run(12)
                    assert np.abs(np.diff(rows, axis=0)).max() > 1e-3
                    proxy.hold("arm")
                await _dies_and_comes_back(proxy, robot, events)
                assert len(robot.lengths) == 1
                picture = proxy.frame("arm")
                assert picture is not None
                assert picture.startswith(b"\xff\xd8")
            while len(events) < 2:
                await asyncio.sleep(0.01)
            assert events == [("arm", "trial3", "policy lost"), ("arm", "trial4", "robot lost")]
    finally:
        await proxy.close()
    await asyncio.sleep(0)
    assert sorted(recorded) == [f"trial{number} 64" for number in range(5)]
    counts = [msgspec.json.decode((folder / "private" / "runs" / f"trial{n}.json").read_bytes()) for n in range(3)]
    assert all(count["chunks"] == count["intact"] >= 10 and count["missed"] == 0 for count in counts)


async def _dies_and_comes_back(proxy: Proxy, robot: Robot, events: list[tuple[str, str, str]]) -> None:
    proxy.run("arm", "trial3", 1, "wave")
    await robot.run(3)
    while not events:
        await robot.ask(wish="die")
        await asyncio.sleep(0)
    assert proxy.robots["arm"].mode is Mode.HOLD
    assert proxy.robots["arm"].connected
    with pytest.raises(NotNow):
        proxy.run("arm", "trial4", 2, "wave")
    proxy.arm("arm")
    while not proxy.robots["arm"].at_home:
        await robot.ask()
        await asyncio.sleep(0.02)
    proxy.run("arm", "trial4", 1, "wave")
    rows = await robot.run(8)
    assert np.abs(np.diff(rows, axis=0)).max() > 1e-3


async def test_a_policy_that_was_changed_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "campaign")
    text = (tmp_path / "campaign" / "plan.json").read_text()
    sha256 = plan.campaign.policies[1].sha256
    (tmp_path / "campaign" / "plan.json").write_text(text.replace(sha256, "f" * 64))
    proxy = Proxy(plan, tmp_path / "campaign")
    with pytest.raises(BundleChanged, match=r"policies\[[01]\]"):
        await proxy.start()
    with pytest.raises(NotNow, match="does not run"):
        proxy.line("arm")
