"""The simulated driver's process, played by a script that misbehaves as told."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.one_line import refused
from tests.run.processes import eventually, start
from unichunk.runtime.errors import UnichunkError
from unichunk.server import simulated_driver as module
from unichunk.server.simulated_driver import simulated_driver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.processes

READY = "os.write(int(sys.argv[sys.argv.index('--ready-fd') + 1]), b'x')"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def script(body: str) -> None:
        path = tmp_path / "driver"
        path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return script


def test_what_it_said_last_after_it_was_ready(script: Callable[[str], None]) -> None:
    script(
        "print('listening', file=sys.stderr, flush=True)\n"
        f"{READY}\n"
        "sys.stdin.read(1)\n"
        "print('error: the camera broke\\nException ignored', file=sys.stderr)\n"
        "sys.exit(1)"
    )
    with simulated_driver("so101", 0, ()) as driver:
        assert driver.failure() == ""
        driver._process.stdin.write(b"x")
        driver._process.stdin.flush()
        eventually(driver.failure)
        assert driver.failure() == "the simulated driver ended (status 1): the camera broke"


def test_one_that_says_nothing_of_why_it_ended(script: Callable[[str], None]) -> None:
    script(f"print('listening', file=sys.stderr, flush=True)\n{READY}")
    with simulated_driver("so101", 0, ()) as driver:
        eventually(driver.failure)
        assert driver.failure() == "the simulated driver ended (status 0): without a word"


def test_one_that_ends_before_it_is_ready(script: Callable[[str], None]) -> None:
    script("sys.exit('error: no such library')")
    with (
        refused(UnichunkError, "the simulated driver did not come up (status 1): no such library"),
        simulated_driver("so101", 0, ()),
    ):
        pass


def test_one_that_never_becomes_ready_and_does_not_end(
    script: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_S", 1.0)
    monkeypatch.setattr(module, "END_S", 0.2)
    script("signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)")
    with refused(UnichunkError, "not up after 1 s"), simulated_driver("so101", 0, ()):
        pass


@pytest.mark.simulator
def test_the_real_one_comes_to_rest_when_its_input_ends() -> None:
    with simulated_driver("so101", 0, ()) as driver:
        driver._process.stdin.close()
        eventually(driver.failure)
        assert driver.failure().endswith("(status 0): so101 driver: stopped, the robot is at rest")


@pytest.mark.simulator
def test_the_real_one_comes_to_rest_when_its_terminal_goes(tmp_path: Path) -> None:
    with start("driver", "so101", "--sim", "--endpoint", f"ipc://{tmp_path}/d.ipc", folder=tmp_path) as process:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "the robot is at rest" in errors
