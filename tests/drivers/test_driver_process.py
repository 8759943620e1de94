"""Drivers as processes: absent, killed and started again, told to stop, failing."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.drivers.fake_device import FakeDevice
from tests.drivers.serving import eventually, serve
from tests.one_line import refused
from unichunk.embodiments.drivers import process as driver_process
from unichunk.embodiments.drivers.process import run_driver
from unichunk.embodiments.drivers.stop_signals import stop_on_signals
from unichunk.embodiments.errors import LinkError, LinkTimeout
from unichunk.embodiments.link import DriverLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.embodiments.spec import EmbodimentSpec


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts drivers; ends those that are left."""
    with ExitStack() as stack:

        def start(*arguments: str, module: bool = False) -> subprocess.Popen[str]:
            program = ["-m", "unichunk.embodiments.drivers"] if module else ["-m", "tests.drivers.fake_driver"]
            process = subprocess.Popen(
                [sys.executable, *program, *arguments], stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
            )
            stack.callback(process.stderr.close)
            stack.callback(process.wait, 60)
            stack.callback(process.kill)
            return process

        yield start


def test_an_absent_driver_is_said_to_be_absent(spec: EmbodimentSpec, endpoint: str) -> None:
    with closing(DriverLink(endpoint, spec, timeout_s=0.2)) as link:
        before = time.monotonic()
        with refused(
            LinkTimeout, f"no answer from the so101 driver for 0.2 s on {endpoint}: is `unichunk driver so101` running?"
        ):
            link.connect()
        assert time.monotonic() - before >= 0.2
        assert link.reconnect(0.1) is None


def test_hardware_that_has_no_driver_yet_is_refused(endpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_driver("so101", endpoint, simulated=False) != 0
    assert capfd.readouterr().err == (
        "error: there is no hardware driver for so101: add --sim for the simulated robot, or name a class as `driver` "
        "in its spec\n"
    )


def test_an_unknown_robot_is_refused(endpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_driver("hal9000", endpoint, simulated=True) != 0
    assert capfd.readouterr().err.startswith("error: unknown embodiment 'hal9000': expected one of ")


class Looking(FakeDevice):
    """Writes down how its process and its control loop's thread are set, and ends its process's driver if asked to."""

    def __init__(self, spec: EmbodimentSpec, *, ends: bool) -> None:
        super().__init__(spec)
        self.seen: tuple[bool, bool, float] | None = None
        self._ends = ends

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        if self.seen is None:
            self.seen = settings_of_the_process()
            if self._ends:
                os.kill(os.getpid(), signal.SIGTERM)
        return super().step()


def settings_of_the_process() -> tuple[bool, bool, float]:
    return gc.isenabled(), gc.get_freeze_count() > 0, sys.getswitchinterval()


@pytest.fixture
def permissions(monkeypatch: pytest.MonkeyPatch) -> Permissions:
    return Permissions(monkeypatch)


class Permissions:
    """A system that permits real-time scheduling or does not, and who asked for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.granted = True
        self.preferred: list[str] = []
        self.nice: list[int] = []
        monkeypatch.setattr(os, "sched_setscheduler", self._set_scheduler)
        monkeypatch.setattr(os, "setpriority", self._set_priority)

    def _set_scheduler(self, pid: int, policy: int, parameters: os.sched_param) -> None:
        if not self.granted:
            raise PermissionError
        if policy == os.SCHED_FIFO:
            self.preferred.append(threading.current_thread().name)

    def _set_priority(self, which: int, who: int, niceness: int) -> None:
        if not self.granted:
            raise PermissionError
        self.nice.append(niceness)


@pytest.mark.parametrize("granted", [True, False])
def test_a_drivers_own_process_prefers_the_control_loop(
    spec: EmbodimentSpec,
    endpoint: str,
    permissions: Permissions,
    granted: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    permissions.granted = granted
    device, before = Looking(spec, ends=True), settings_of_the_process()
    monkeypatch.setattr(driver_process, "_device", lambda *_, **__: device)
    assert run_driver("so101", endpoint, simulated=True) == 0
    assert device.seen == (False, True, pytest.approx(1e-4))
    assert settings_of_the_process() == before
    listening, *others = capfd.readouterr().err.splitlines()
    assert "listening on" in listening
    assert others[-1] == "so101 driver: stopped, the robot is at rest"
    if granted:
        assert permissions.preferred[1:] == ["control loop"]
        assert permissions.nice[0] == -10
        assert len(others) == 1
    else:
        assert permissions.preferred == []
        # One line, and no error.
        assert len(others) == 2
        assert "no SCHED_FIFO for the control thread" in others[0]
        assert "no niceness -10" in others[0]


def test_a_driver_in_somebody_elses_process_leaves_it_as_it_is(
    spec: EmbodimentSpec, endpoint: str, permissions: Permissions
) -> None:
    device, before = Looking(spec, ends=False), settings_of_the_process()
    with serve(spec, device, endpoint):
        eventually(lambda: device.seen is not None)
    assert device.seen == before
    assert permissions.preferred == []
    assert permissions.nice == []


def test_who_was_told_to_stop_is_refused_after_giving_the_robot_back_too(spec: EmbodimentSpec, endpoint: str) -> None:
    with serve(spec, FakeDevice(spec), endpoint) as served:
        link = served.make_link()
        link.connect()
        link.control.stop()
        assert link.control.goodbye(30.0)
        assert link.control.status().holder == ""
        for _ in range(2):
            with refused(LinkError, "the robot was told to stop: end this session and begin another one"):
                link.control.hello(30.0)
        assert link.control.status().stopped


def test_a_second_signal_while_the_first_is_taken_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting an event takes a lock: a handler within a handler would wait for it for ever."""
    taken_in: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:

        def set_slowly() -> None:
            taken_in.append(1)
            signal.raise_signal(signal.SIGINT)
            threading.Event.set(stop)

        monkeypatch.setattr(stop, "set", set_slowly)
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
    assert taken_in == [1]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.processes
def test_a_killed_driver_comes_back_at_the_same_address(
    spec: EmbodimentSpec, endpoint: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    check_comeback(spec, endpoint, start)


@pytest.mark.processes
def test_a_killed_driver_comes_back_with_other_stream_ports(
    spec: EmbodimentSpec, start: Callable[..., subprocess.Popen[str]], free_port: int
) -> None:
    check_comeback(spec, f"tcp://127.0.0.1:{free_port}", start)


def check_comeback(spec: EmbodimentSpec, endpoint: str, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(endpoint)
    with closing(DriverLink(endpoint, spec, timeout_s=60)) as link:
        first = link.connect()
        drive(link, spec.rest)
        eventually(lambda: link.sensors.newest() is not None)
        process.kill()
        process.wait(60)
        assert link.reconnect(0.3) is None
        eventually(lambda: not link.commands.send(0, spec.rest))
        start(endpoint)
        second = link.reconnect(60)
        assert second is not None
        assert second.boot != first.boot
        drive(link, spec.rest + 0.05)
        eventually(lambda: np.allclose(link.states.newest().q, spec.rest + 0.05, atol=0.01))
        assert link.states.commanding
        eventually(lambda: link.sensors.newest() is not None)
        assert link.control.status().counters["accepted"] > 0


def drive(link: DriverLink, q: np.ndarray) -> None:
    """Command until the driver says that it follows."""

    def followed() -> bool:
        link.commands.send(0, q)
        return link.states.newest() is not None and link.states.last_command_sequence > 0

    eventually(followed)
    for _ in range(20):
        assert link.commands.send(0, q)
        time.sleep(0.01)


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_rest_with_status_0(
    endpoint: str, start: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = start(endpoint)
    assert "listening on" in process.stderr.readline()
    process.send_signal(number)
    assert process.wait(60) == 0
    assert "stopped, the robot is at rest" in process.stderr.read()
    assert sorted(path.name for path in Path(endpoint[6:]).parent.iterdir()) == ["driver.ipc.lock"]


@pytest.mark.processes
def test_a_second_driver_does_not_take_the_address_of_the_first(
    spec: EmbodimentSpec, endpoint: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    first = start(endpoint)
    assert "listening on" in first.stderr.readline()
    second = start(endpoint)
    assert second.wait(60) == 1
    assert second.stderr.read() == (
        f"error: another driver is listening on {endpoint}: stop it or choose another --endpoint\n"
    )
    with closing(DriverLink(endpoint, spec)) as link:
        link.connect()


@pytest.mark.processes
def test_a_driver_whose_camera_hangs_still_ends(endpoint: str, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(endpoint, "hang_in_capture_s=100")
    assert "listening on" in process.stderr.readline()
    process.terminate()
    assert process.wait(60) == 1
    # Before it there may be a line about what the system does not permit.
    assert process.stderr.read().splitlines()[-1] == (
        "error: the so101 driver stopped: its camera third_person did not end within 3 s"
    )


@pytest.mark.processes
@pytest.mark.simulator
def test_the_simulated_robot_dies_when_told_to(
    spec: EmbodimentSpec, endpoint: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("--embodiment", "so101", "--endpoint", endpoint, "--sim", "--fault", "die@0.2", module=True)
    with closing(DriverLink(endpoint, spec, connect_timeout_s=60)) as link:
        link.connect()
        drive(link, spec.rest)
        assert process.wait(60) == 1
        assert "(MuJoCo twin, with faults)" in process.stderr.read()


@pytest.mark.processes
def test_commands_that_were_held_up_are_not_followed_afterwards(
    spec: EmbodimentSpec, endpoint: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start(endpoint)
    with closing(DriverLink(endpoint, spec, connect_timeout_s=60)) as link:
        link.connect()
        drive(link, spec.rest)
        process.send_signal(signal.SIGSTOP)
        for _ in range(20):
            link.commands.send(0, spec.rest + 0.2)
        time.sleep(2 * spec.watchdog_s)
        process.send_signal(signal.SIGCONT)
        # Whether they arrive before or after the watchdog looks, they are refused, for the one reason or the other.
        counters = lambda: link.control.status().counters  # noqa: E731
        eventually(lambda: counters()["untimely"] + counters()["suspended"] > 0)
        eventually(lambda: link.states.newest().watchdog)
        assert np.allclose(link.states.newest().q, spec.rest)


@pytest.mark.processes
def test_a_recorded_driver_leaves_the_set_points_of_every_period(
    spec: EmbodimentSpec, endpoint: str, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start(endpoint, f"record={tmp_path}/set_points.npz")
    with closing(DriverLink(endpoint, spec, connect_timeout_s=60)) as link:
        assert link.connect().driver == "fake, recorded"
        drive(link, spec.rest + 0.05)
    process.terminate()
    assert process.wait(60) == 0
    with np.load(tmp_path / "set_points.npz", allow_pickle=False) as archive:
        # From where the robot stood towards where it was told to go.
        assert (archive["commands"][0] == spec.rest).all()
        assert (archive["commands"][-1] > spec.rest).all()
        assert archive["steps"].shape == archive["commands"].shape[:1] != (0,)
        assert tuple(archive["joints"]) == spec.joint_names
