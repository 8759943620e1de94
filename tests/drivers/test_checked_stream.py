"""What a robot gets from a driver, above all one that checks it: through real sockets, and period by period."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tests.drivers.fake_device import FakeDevice
from tests.drivers.judged_device import JudgedDevice
from tests.drivers.loop_bench import LoopBench
from tests.drivers.serving import eventually, serve
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers import control_loop
from unichunk.runtime.deadline import sleep_until
from unichunk.runtime.standing import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.link import DriverLink

FRANKA = load_spec("fr3_inspire")
ARM = FRANKA.joint_index("right_arm")
HAND = FRANKA.joint_index("right_hand")
PATIENCE_S = 60.0


def sweep(periods: int, middle: np.ndarray = FRANKA.rest) -> np.ndarray:
    """Regular commands (periods, n) within the limits, from rest: sines that fade in."""
    t = np.arange(1, periods + 1)[:, None] / FRANKA.command_hz
    return middle + 0.05 * (1 - np.exp(-20 * t**3)) * np.sin(np.linspace(4.0, 6.0, len(middle)) * t)


class PatientPace:
    """Runs every period, however late."""

    def __init__(self, rate_hz: float, *, catch_up: bool) -> None:
        self._period_ns = round(1e9 / rate_hz)
        self._due_ns = time.monotonic_ns()

    def wait(self) -> int:
        self._due_ns += self._period_ns
        sleep_until(self._due_ns)
        return 0


def stream_until_it_moves(device: JudgedDevice, link: DriverLink) -> None:
    """Send a sweep again and again, in bursts, a tenth of it lost, until the robot has gone somewhere."""

    def moves() -> bool:
        stream = device.stream
        return stream is not None and bool(np.abs(device.q - stream.start)[ARM].max() > 0.02)

    random, deadline = np.random.default_rng(0), time.monotonic() + PATIENCE_S
    while not moves():
        assert time.monotonic() < deadline
        if link.states.newest().watchdog:
            # Whoever is late here may have been taken for silent.
            assert link.reconnect(PATIENCE_S) is not None
        for i, q in enumerate(sweep(1000, device.q.copy())):
            if random.random() > 0.1:
                link.commands.send(0, q)
            if i % 25 == 0:
                time.sleep(0.025)
                if moves():
                    return


def test_every_set_point_of_a_served_robot_is_accepted(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchdog, stop and shutdown while it moves. Whoever is late here, the streams must be good."""
    monkeypatch.setattr(control_loop, "Pace", PatientPace)
    spec = msgspec.structs.replace(FRANKA, watchdog_s=0.5)
    device = JudgedDevice(spec)
    with serve(spec, device, endpoint) as served:
        link = served.make_link()
        link.connect()
        eventually(lambda: link.states.newest() is not None, PATIENCE_S)
        stream_until_it_moves(device, link)
        eventually(lambda: link.states.newest().watchdog and device.stream is None, PATIENCE_S)
        assert link.control.status().counters["watchdog_trips"] >= 1
        assert link.reconnect(PATIENCE_S) is not None
        stream_until_it_moves(device, link)
        link.control.stop()
        eventually(lambda: device.stream is None, PATIENCE_S)
        link.close()
        other = served.make_link()
        other.connect()
        eventually(lambda: other.states.newest() is not None, PATIENCE_S)
        stream_until_it_moves(device, other)
    assert device.resting >= 3
    assert len(device.streams) >= 3
    assert device.complaints() == []
    assert all(stream.ends_at_rest for stream in device.streams)


@pytest.fixture
def device() -> JudgedDevice:
    return JudgedDevice(FRANKA)


@pytest.fixture
def bench(device: JudgedDevice, monkeypatch: pytest.MonkeyPatch) -> LoopBench:
    return LoopBench(FRANKA, device, monkeypatch)


def played(bench: LoopBench, commands: np.ndarray) -> Iterator[int]:
    for q in commands:
        bench.command(q)
        yield 0


@pytest.mark.parametrize("length", [300, 307, 311])
@pytest.mark.parametrize("how", ["stop", "goodbye", "silence", "shutdown", "takeover"])
def test_the_last_set_points_reach_every_group_whatever_ends_the_stream(
    device: JudgedDevice, bench: LoopBench, how: str, length: int
) -> None:
    samples, sample = [], bench.loop._conditioner.sample

    def spy(*measured: np.ndarray) -> np.ndarray | None:
        q = sample(*measured)
        if q is not None:
            samples.append(q)
        return q

    bench.loop._conditioner.sample = spy

    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield from played(bench, sweep(length))
        if how == "shutdown":
            return
        if how == "stop":
            bench.lease.stop()
        elif how in ("goodbye", "takeover"):
            bench.lease.release("us")
        if how == "takeover":
            bench.hello("them")
            bench.command(FRANKA.rest, "them")
        for _ in range(800):
            yield 0

    bench.run(script())
    assert device.complaints() == []
    (stream,) = device.streams
    assert stream.ends_at_rest
    assert len(stream.set_points) == len(samples)
    assert stream.set_points[-1].tobytes() == samples[-1].tobytes()
    assert np.abs(samples[-1][HAND] - FRANKA.rest[HAND]).min() > 1e-6
    # It was there for a period before the robot was told to rest.
    assert device.q.tobytes() == samples[-1].tobytes()
    assert device.resting == (1 if how == "shutdown" else 2)
    assert bench.counters.watchdog_trips == (how == "silence")


def test_a_stream_that_missed_periods_is_over_until_the_session_says_hello(
    device: JudgedDevice, bench: LoopBench
) -> None:
    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield from played(bench, sweep(400))
        bench.command(sweep(401)[-1])
        yield 120
        for q in sweep(500)[401:]:
            bench.command(q)
            yield 0
            assert bench.state.watchdog
        assert (device.resting, len(device.streams)) == (1, 1)
        assert not device.streams[0].ends_at_rest
        bench.hello()
        yield 0
        assert not bench.state.watchdog
        yield from played(bench, sweep(300, device.q.copy()))

    bench.run(script())
    assert device.complaints() == []
    assert [len(stream.set_points) > 299 for stream in device.streams] == [True, True]
    assert device.streams[1].set_points[0].tobytes() == device.streams[1].start.tobytes()
    assert (bench.counters.broken, bench.counters.watchdog_trips, bench.counters.missed_periods) == (1, 1, 120)


@pytest.mark.parametrize(("missed", "broken"), [(1, False), (12, False), (20, False), (26, True)])
def test_servos_with_profiles_of_their_own_can_do_without_periods_until_the_watchdog_would_bite(
    monkeypatch: pytest.MonkeyPatch, missed: int, *, broken: bool
) -> None:
    spec = load_spec("so101")
    assert (spec.watchdog_s, spec.command_hz) == (0.25, 100)
    device = FakeDevice(spec)
    bench = LoopBench(spec, device, monkeypatch)
    targets = []

    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        for i in range(60):
            bench.command(spec.rest + 0.09)
            yield missed if i == 5 else 0
            targets.append(device.target.copy())
        # What arrives after the hold-up is too old, or from a session that has to say hello again.
        assert bench.state.watchdog == broken
        assert (np.abs(device.q - spec.rest - 0.09).max() < 1e-6) == (not broken)

    bench.run(script())
    assert bench.counters.broken == broken
    stream = np.array(targets)
    if not broken:
        # The next set-point continues the last one, whatever time went by: no jump.
        assert (np.abs(np.diff(stream, n=2, axis=0)) * 100**2 <= spec.limits.acceleration + 1e-6).all()


def test_between_two_streams_the_robot_rests_for_a_period(device: JudgedDevice, bench: LoopBench) -> None:
    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield from played(bench, sweep(250))
        bench.lease.release("us")
        bench.hello("them")
        # While the first stream is braked, the commands of the next one wait.
        for _ in range(600):
            bench.command(device.q, "them")
            yield 0

    bench.run(script())
    assert len(device.streams) == 2
    assert all(stream.ends_at_rest for stream in device.streams)
    assert device.complaints() == []


def test_missed_periods_while_nothing_is_commanded_are_none_of_its_business(
    device: JudgedDevice, bench: LoopBench
) -> None:
    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield 150
        yield from played(bench, sweep(100))

    bench.run(script())
    assert len(device.streams) == 1
    assert bench.counters.broken == 0


def test_a_stream_braked_for_another_session_that_breaks_off_begins_again_when_the_robot_stands(
    device: JudgedDevice, bench: LoopBench
) -> None:
    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield from played(bench, sweep(250))
        bench.lease.release("us")
        bench.hello("them")
        yield 0
        # It does not stand at once: the target runs away.
        device.runaway = FRANKA.limits.velocity / 2000
        yield 110
        for _ in range(20):
            bench.command(device.q, "them")
            yield 0
            assert len(device.streams) == 1
        device.runaway = 0.0
        for _ in range(3):
            bench.command(device.q, "them")
            yield 0

    bench.run(script())
    assert len(device.streams) == 2
    assert device.complaints() == []
    assert bench.counters.not_begun > 10
    assert bench.counters.watchdog_trips == 0


def test_a_process_that_was_held_up_takes_no_old_command_for_a_fresh_one(
    device: JudgedDevice, bench: LoopBench
) -> None:
    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        bench.held_up_ns = round(1.1e9 * FRANKA.watchdog_s)
        bench.command(FRANKA.rest)
        yield 0
        bench.held_up_ns = 0
        yield 0

    bench.run(script())
    assert (bench.counters.accepted, bench.counters.untimely) == (0, 1)
    assert device.streams == []


@pytest.mark.parametrize("stopped_after", [2, 30, 1000])
@pytest.mark.parametrize(("joint", "side"), [(1, 1), (3, -1), (5, -1), (8, -1)])
def test_a_robot_that_stands_slightly_outside_is_taken_over_there_and_moved_in(
    device: JudgedDevice, bench: LoopBench, joint: int, side: int, stopped_after: int
) -> None:
    limits = FRANKA.limits
    device.q[joint] = (limits.upper if side > 0 else limits.lower)[joint] + side * 0.01
    device.target = device.q.copy()
    goal = np.clip(device.q, limits.lower, limits.upper)

    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield from played(bench, np.tile(goal, (stopped_after, 1)))
        bench.lease.stop()
        for _ in range(300):
            yield 0

    bench.run(script())
    (stream,) = device.streams
    assert device.complaints() == []
    assert stream.ends_at_rest
    assert stream.set_points[0].tobytes() == stream.start.tobytes()
    way = np.diff(np.array(stream.set_points)[:, joint]) * side
    assert (way <= 1e-12).all()
    if stopped_after == 1000:
        assert np.abs(device.q - goal).max() < 1e-9


def test_a_robot_that_was_moved_while_commands_led_away_is_not_chased_after(
    device: JudgedDevice, bench: LoopBench
) -> None:
    """Somebody holds the arm, or a sensor is noisy: when it stands again, commands speak of another place."""

    def script() -> Iterator[int]:
        device.runaway = FRANKA.limits.velocity / 2000
        bench.hello()
        yield 0
        yield 0
        for q in sweep(900):
            bench.command(q)
            yield 0
        assert bench.state.watchdog
        device.runaway = 0.0
        for q in sweep(1200)[900:]:
            bench.command(q)
            yield 0

    bench.run(script())
    assert device.streams == []
    assert (bench.counters.broken, bench.counters.watchdog_trips) == (1, 1)
    assert bench.counters.suspended > 300


@pytest.mark.parametrize("value", [FRANKA.limits.upper[1] + OUTSIDE + 0.01, np.nan])
def test_no_stream_begins_far_outside(device: JudgedDevice, bench: LoopBench, value: float) -> None:
    device.q[1] = value
    device.target = device.q.copy()

    def script() -> Iterator[int]:
        bench.hello()
        yield 0
        yield from played(bench, sweep(20))

    bench.run(script())
    assert device.streams == []
    assert bench.counters.not_begun == 20
