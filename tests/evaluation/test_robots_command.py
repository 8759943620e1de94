"""`unichunk eval robot`: what it refuses, and a simulated robot behind a proxy that speaks the real wire."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.server import serve

from tests.evaluation.fake_proxy import FakeProxy
from unichunk.embodiments.catalogue import load_spec
from unichunk.server.eval_robot_command import EvalRobot
from unichunk.server.remote.clock import SystemClock
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.server import ServerConnection

HERE = "ws://127.0.0.1:1/robot/arm-1"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({}, 2, "expected either --sim (a simulated robot) or --driver ENDPOINT"),
        ({"sim": True, "driver": "ipc:///tmp/x.ipc"}, 2, "expected either --sim"),
        ({"sim": True, "duration": 0.0}, 2, "--duration: expected more than 0 s, got 0"),
        ({"sim": True, "outage": 0.0}, 2, "--outage: expected more than 0 and at most 86400 s, got 0"),
        ({"sim": True, "server": "ws://127.0.0.1:1/arm"}, 3, "expected ws://host:port/robot/NAME"),
        ({"sim": True, "ca": "ca.pem"}, 3, "--ca: only wss:// has certificates"),
        ({"sim": True, "server": "ws://robots.example/robot/a"}, 3, "use wss://, or --plain-key"),
    ],
)
def test_refused_before_anything_is_started(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    status: int,
    said: str,
) -> None:
    monkeypatch.setenv("UNICHUNK_API_KEY", "uck_key")
    robot = EvalRobot("so101", **{"server": HERE, "report": tmp_path / "report.json", **options})
    assert robot() == status
    error = capsys.readouterr().err
    assert error.startswith("unichunk eval robot: ")
    assert said in error
    assert error.count("\n") == 1


class WireProxy(FakeProxy):
    """A `FakeProxy` on a WebSocket."""

    def __init__(self) -> None:
        super().__init__(load_spec("so101"), SystemClock(), rows=16)
        self.headers: list[str | None] = []

    def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers.append(connection.request.headers.get("Authorization"))
        connection.send(pack(self.greeting))
        for message in connection:
            assert isinstance(message, bytes)
            fields = unpack(message)
            self.seen.append(fields)
            connection.send(self.answer(fields))


@pytest.fixture
def there() -> Iterator[tuple[WireProxy, str]]:
    proxy = WireProxy()
    with serve(proxy.handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield proxy, f"ws://127.0.0.1:{server.socket.getsockname()[1]}/robot/arm-1"
        server.shutdown()
        thread.join()


@pytest.mark.processes
@pytest.mark.simulator
def test_a_simulated_robot_does_what_it_is_told(there: tuple[WireProxy, str], tmp_path: Path) -> None:
    proxy, address = there
    key = tmp_path / "arm-1.key"
    key.write_text("uck_key\n")
    key.chmod(0o600)
    report = tmp_path / "report.json"
    robot = EvalRobot("so101", address, sim=True, key_file=key, duration=1.5, report=report)
    assert robot() == 0
    assert set(proxy.headers) == {"Api-Key uck_key"}
    written = json.loads(report.read_text())
    assert written["exit_reason"] == "completed"
    assert written["remote"]["connections"] == len(proxy.headers)
    assert written["asked"]["policy"] == address
    fields = proxy.seen[-1]
    assert set(fields) == {"state", "image.third_person", "tick", "delay"}
    assert fields["image.third_person"].shape == (120, 160, 3)
    ticks = [seen["tick"] for seen in proxy.seen]
    assert ticks == sorted(ticks)
    assert len(set(ticks)) > 12
    # It stands where rows of these ticks put it: its servos lag, and the machine may be busy.
    told = proxy.row(fields["tick"])
    assert abs(fields["state"] - told).max() < 0.1
