"""The network laboratory: what a path does to packets in virtual time, and one real path where that is permitted."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.benchmarks.netlab import laboratory as laboratory_module
from unichunk.benchmarks.netlab.conditions import NANOSECONDS, BadConditions, Conditions, Outage
from unichunk.benchmarks.netlab.laboratory import Laboratory, LaboratoryUnavailable
from unichunk.benchmarks.netlab.netem import netem_command
from unichunk.benchmarks.netlab.pipe import NOTHING, Pipe
from unichunk.benchmarks.netlab.probe import round_trips_s

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAST = 1e12
"""A rate at which packets of tests take no time, [bit/s]."""

ARRIVALS = st.lists(st.tuples(st.integers(0, 30_000_000), st.integers(1, 1500)), max_size=60)
"""Time since the packet before, [ns], and size."""

DELAYS = st.floats(0, 0.2)
RATES = st.floats(1e6, 1e9)


def pipe(seed: int = 0, **conditions: Any) -> Pipe:
    return Pipe(Conditions(**conditions), Random(seed))


def send(pipe: Pipe, arrivals: list[tuple[int, int]]) -> list[int]:
    """Send packets that carry their number; when each came."""
    now, came = 0, []
    for number, (pause, size) in enumerate(arrivals):
        now += pause
        came.append(now)
        pipe.take(now, number.to_bytes(max(2, size), "big"))
    return came


def drain(pipe: Pipe) -> list[tuple[int, int]]:
    """(due, number) of all that is on its way, each asked for when it is due and never a moment before."""
    handed = []
    while (due := pipe.next_ns) != NOTHING:
        assert pipe.hand_on(due - 1) is None
        packet = pipe.hand_on(due)
        assert packet is not None
        assert packet[0] == due
        handed.append((due, int.from_bytes(packet[1], "big")))
    return handed


@given(ARRIVALS, DELAYS)
def test_a_packet_takes_its_delay_and_no_packet_another_one(arrivals: list[tuple[int, int]], delay_s: float) -> None:
    tried = pipe(delay_s=delay_s, rate_bit_s=FAST)
    came = send(tried, arrivals)
    handed = drain(tried)
    assert [number for _, number in handed] == list(range(len(arrivals)))
    # 1500 bytes at this rate are 12 ns; packets of one moment take that each.
    for (due, _), at in zip(handed, came, strict=True):
        assert 0 <= due - at - round(delay_s * 1e9) <= 12 * len(arrivals)


@given(ARRIVALS, DELAYS, RATES)
def test_packets_wait_for_those_before_them_as_in_a_queue(
    arrivals: list[tuple[int, int]], delay_s: float, rate: float
) -> None:
    tried = pipe(delay_s=delay_s, rate_bit_s=rate)
    came = send(tried, arrivals)
    free = 0
    for (due, number), at, (_, size) in zip(drain(tried), came, arrivals, strict=True):
        free = max(at + round(delay_s * 1e9), free) + round(max(2, size) * 8 * NANOSECONDS / rate)
        assert due == free, number


@given(ARRIVALS, st.floats(0, 0.1), st.floats(0, 1), st.integers(0, 99))
def test_jitter_stays_within_its_bounds_and_reorders_nothing(
    arrivals: list[tuple[int, int]], delay_s: float, share: float, seed: int
) -> None:
    tried = pipe(seed, delay_s=delay_s, jitter_s=delay_s * share, rate_bit_s=FAST)
    came = send(tried, arrivals)
    handed = drain(tried)
    assert [number for _, number in handed] == list(range(len(arrivals)))
    latest = 0
    for (due, _), at in zip(handed, came, strict=True):
        latest = max(latest, at + round(delay_s * (1 + share) * 1e9))
        assert at + round(delay_s * (1 - share) * 1e9) - 1 <= due <= latest + 12 * len(arrivals) + 1


def test_jitter_uses_its_whole_range_both_ways() -> None:
    tried = pipe(delay_s=0.05, jitter_s=0.02, rate_bit_s=FAST)
    came = send(tried, [(NANOSECONDS, 100)] * 2000)
    delays = sorted(due - at for (due, _), at in zip(drain(tried), came, strict=True))
    assert delays[0] < 0.031 * 1e9
    assert delays[-1] > 0.069 * 1e9
    assert abs(sum(delays) / len(delays) - 0.05 * 1e9) < 0.001 * 1e9


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.5, 1.0])
def test_as_many_are_lost_as_was_asked_each_for_itself(loss: float) -> None:
    tried = pipe(loss=loss, limit=10_000)
    send(tried, [(10_000, 100)] * 10_000)
    handed = [number for _, number in drain(tried)]
    assert tried.counters.lost == 10_000 - len(handed)
    assert tried.counters.lost == pytest.approx(10_000 * loss, abs=4 * (10_000 * loss * (1 - loss)) ** 0.5)
    if loss == 0.5:
        # After a packet that was lost, the next one is lost half of the time too.
        kept = set(handed)
        gone = [number for number in range(9_999) if number not in kept]
        assert sum(number + 1 not in kept for number in gone) == pytest.approx(len(gone) / 2, abs=150)


@given(ARRIVALS, st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_outage_costs_those_that_come_in_it_and_no_other(
    arrivals: list[tuple[int, int]], begin_ns: int, length_ns: int
) -> None:
    tried = pipe(delay_s=0.1)
    tried.outage = Outage(begin_ns, begin_ns + length_ns)
    came = send(tried, arrivals)
    expected = [number for number, at in enumerate(came) if not begin_ns <= at < begin_ns + length_ns]
    assert [number for _, number in drain(tried)] == expected
    assert tried.counters.cut_off == len(arrivals) - len(expected)


@given(ARRIVALS, st.integers(1, 20))
def test_what_does_not_fit_is_lost_and_every_packet_is_counted_once(
    arrivals: list[tuple[int, int]], limit: int
) -> None:
    tried = pipe(delay_s=1.0, loss=0.3, limit=limit)
    tried.outage = Outage(5_000_000, 9_000_000)
    send(tried, arrivals)
    counters = tried.counters
    on_the_way = len(arrivals) - counters.lost - counters.cut_off - counters.overflowed
    assert on_the_way <= limit
    assert len(drain(tried)) == on_the_way == counters.handed_on
    assert counters.taken == len(arrivals)


def test_changed_conditions_hold_for_those_that_come_after() -> None:
    tried = pipe(delay_s=0.05, rate_bit_s=FAST)
    tried.take(0, bytes(100))
    tried.conditions = Conditions(0.01, rate_bit_s=FAST)
    tried.take(10**9, bytes(100))
    first, second = (due for due, _ in drain(tried))
    assert (round(first / 1e6), round((second - 10**9) / 1e6)) == (50, 10)


def test_a_round_trip_is_shared_by_both_directions() -> None:
    half = Conditions.of_round_trip(0.05, 0.02, 0.05)
    assert (half.delay_s, half.jitter_s, half.loss) == (0.025, 0.01, 0.05)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"delay_s": -1.0}, "delay: expected 0 to 60, got -1"),
        ({"delay_s": 0.01, "jitter_s": 0.02}, "jitter: expected 0 to 0.01, got 0.02"),
        ({"loss": 1.5}, "loss: expected 0 to 1, got 1.5"),
        ({"loss": float("nan")}, "loss: expected 0 to 1, got nan"),
        ({"rate_bit_s": 0.0}, r"rate: expected 1000 to 1e\+12, got 0"),
        ({"limit": 0}, r"limit: expected 1 to 1e\+06, got 0"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadConditions, match=f"^{complaint}$"):
        Conditions(**wrong)


def test_netem_is_told_the_same_conditions() -> None:
    command = " ".join(netem_command("path0", Conditions(0.025, 0.01, 0.05), cut=False))
    assert command == (
        "tc qdisc replace dev path0 root netem limit 10000 delay 25000us 10000us loss random 5% rate 1000000000bit"
    )
    assert "loss random 100%" in " ".join(netem_command("path0", Conditions(), cut=True))
    assert "loss" not in netem_command("path0", Conditions(), cut=False)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LaboratoryUnavailable, match=r"^needs root for network namespaces; run it with sudo$"):
        Laboratory()
    monkeypatch.setattr(laboratory_module.shutil, "which", lambda _: None)
    with pytest.raises(LaboratoryUnavailable, match="util-linux"):
        Laboratory()


@pytest.fixture
def laboratory() -> Iterator[Laboratory]:
    try:
        made = Laboratory("relay", seed=1)
    except LaboratoryUnavailable as why:
        pytest.skip(f"a network laboratory {why}")
    with made:
        yield made


@pytest.mark.processes
def test_real_packets_are_delayed_lost_and_cut_off(laboratory: Laboratory) -> None:
    assert min(round_trips_s(laboratory, 20)) < 0.02
    laboratory.change(Conditions.of_round_trip(0.1))
    assert min(round_trips_s(laboratory, 3)) >= 0.1
    laboratory.forget()
    laboratory.change(Conditions(0.005, loss=0.5))
    got = len(round_trips_s(laboratory, 20, patience_s=0.1))
    assert got < 20
    lost = laboratory.statistics()
    assert sum(lost[name]["lost"] for name in ("near to far", "far to near")) > 0
    laboratory.change(Conditions(0.005))
    outage = laboratory.cut(0.0, 0.5)
    assert round_trips_s(laboratory, 1, patience_s=0.1) == []
    time.sleep(max(0.0, (outage.end_ns - time.monotonic_ns()) / 1e9))
    assert len(round_trips_s(laboratory, 3)) == 3


@pytest.mark.processes
def test_the_kernel_s_tcp_gets_through_losses_and_nothing_is_left_behind(laboratory: Laboratory) -> None:
    laboratory.change(Conditions(0.002, loss=0.05))
    script = (
        "import socket, sys; s = socket.create_server(('', 7000)); print('up', flush=True); c, _ = s.accept(); "
        "n = 0\nwhile d := c.recv(1 << 16): n += len(d)\nprint(n)"
    )
    server = subprocess.Popen(laboratory.far.command(["python3", "-c", script]), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server.stdout:
        assert server.stdout.readline() == "up\n"
        client = f"import socket; socket.create_connection(({laboratory.far.address!r}, 7000)).sendall(bytes(300_000))"
        subprocess.run(laboratory.near.command(["python3", "-c", client]), check=True, timeout=60)
        assert server.stdout.readline() == "300000\n"
    assert server.wait(10) == 0
    assert laboratory.statistics()["near to far"]["lost"] > 0
    place = laboratory.near.namespace
    laboratory.close()
    assert not place.exists()


@pytest.mark.processes
def test_with_netem_it_is_the_kernel_that_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    fake = tmp_path / "tc"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    try:
        made = Laboratory("auto")
    except LaboratoryUnavailable as why:
        pytest.skip(f"a network laboratory {why}")
    with made:
        assert made.how == "netem"
        assert len(round_trips_s(made, 3)) == 3
        made.change(Conditions.of_round_trip(0.05))
        outage = made.cut(0.0, 0.1)
        time.sleep(max(0.0, (outage.end_ns - time.monotonic_ns()) / 1e9) + 0.2)
        made.statistics()
    lines = told.read_text().splitlines()
    # Both ends each time: at first, as it was changed, cut off, and as it was before.
    found = [line.partition("netem ")[2] for line in lines if "path0" in line and "replace" in line]
    assert [("delay 25000us" in line, "100%" in line) for line in found] == [
        *[(False, False)] * 2,
        *[(True, False)] * 2,
        *[(True, True)] * 2,
        *[(True, False)] * 2,
    ]
