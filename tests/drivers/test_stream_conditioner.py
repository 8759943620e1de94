"""One set-point a period that a strict controller accepts, however commands arrive: in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.embodiments.test_franka_checks import LIMITS, MIDDLE, complaints
from unichunk.embodiments.drivers.counters import Counters
from unichunk.embodiments.drivers.stream_conditioner import COAST_S, DRAIN_S, MOST_WAITING, StreamConditioner

if TYPE_CHECKING:
    from collections.abc import Callable

HZ = 1000
STILL = np.zeros(7)
Arrivals = list[list[np.ndarray]]


def sweep(periods: int) -> np.ndarray:
    """Regular commands (periods, 7) within the limits, from rest: sines that fade in."""
    t = np.arange(1, periods + 1)[:, None] / HZ
    return MIDDLE + 0.4 * (1 - np.exp(-2 * t**3)) * np.sin(np.linspace(1.0, 2.0, 7) * t)


class Played:
    """What a conditioner makes of arrivals, period by period."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.conditioner = StreamConditioner(LIMITS, HZ, self.counters)
        self.stream: list[np.ndarray] = []

    def play(self, arrivals: Arrivals, measured: np.ndarray = MIDDLE) -> None:
        for commands in arrivals:
            self.conditioner.offer(commands)
            q = self.conditioner.sample(measured, STILL)
            if q is None:
                assert not self.stream or self.conditioner.idle
            else:
                self.stream.append(q)

    def accepted(self) -> None:
        assert complaints(np.array(self.stream), MIDDLE) == []


@pytest.fixture
def played() -> Played:
    return Played()


def test_regular_commands_pass_bit_by_bit_one_period_later(played: Played) -> None:
    commands = sweep(4000)
    played.play([[q] for q in commands])
    assert np.array(played.stream[1:]).tobytes() == commands[:-1].tobytes()
    assert played.stream[0].tobytes() == MIDDLE.tobytes()
    counters = played.counters
    assert (counters.conditioned, counters.skipped, counters.starved) == (0, 0, 0)
    played.accepted()


def test_before_the_first_command_there_is_no_stream(played: Played) -> None:
    played.play([[], [], []])
    assert played.stream == []
    assert played.conditioner.idle


def jittered(commands: np.ndarray, random: np.random.Generator) -> Arrivals:
    """Each command up to 4 periods late, in order."""
    arrivals: Arrivals = [[] for _ in range(len(commands) + 5)]
    at = 0
    for i, q in enumerate(commands):
        at = max(at, i + int(random.integers(0, 5)))
        arrivals[at].append(q)
    return arrivals


def bursty(commands: np.ndarray, random: np.random.Generator) -> Arrivals:
    """Nothing for a while, then everything at once."""
    arrivals, held = [], []
    for q in commands:
        held.append(q)
        if random.random() < 0.1:
            arrivals.append(held)
            held = []
        else:
            arrivals.append([])
    return arrivals


def lossy(commands: np.ndarray, random: np.random.Generator) -> Arrivals:
    return [[q] if random.random() < 0.7 else [] for q in commands]


def gaps(commands: np.ndarray, random: np.random.Generator) -> Arrivals:
    """Silences of 60 ms, after which commands go on where they would have been."""
    return [[q] if (i // 60) % 5 else [] for i, q in enumerate(commands)]


def nonsense(commands: np.ndarray, random: np.random.Generator) -> Arrivals:
    return [[q] if random.random() < 0.9 else [random.uniform(LIMITS.lower, LIMITS.upper)] * 3 for q in commands]


@pytest.mark.parametrize("delivery", [jittered, bursty, lossy, gaps, nonsense], ids=lambda delivery: delivery.__name__)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_robot_accepts_every_sample(
    delivery: Callable[[np.ndarray, np.random.Generator], Arrivals], seed: int, played: Played
) -> None:
    arrivals = delivery(sweep(2500), np.random.default_rng(seed))
    first = next(i for i, commands in enumerate(arrivals) if commands)
    played.play(arrivals)
    assert len(played.stream) == len(arrivals) - first, "exactly one set-point a period"
    played.accepted()
    accepted, taken = sum(map(len, arrivals)), played.counters
    assert accepted - taken.skipped >= len(played.stream) - 1 - taken.starved


def test_jitter_within_the_buffer_is_played_out_and_then_commands_pass_again(played: Played) -> None:
    commands = sweep(3000)
    late = jittered(commands[:500], np.random.default_rng(3))
    arrivals = [*late[:500], [*(q for rest in late[500:] for q in rest), commands[500]], *([q] for q in commands[501:])]
    played.play(arrivals)
    played.accepted()
    # Nothing is skipped while it is jitter; what waits for long after that is, down to the reserve.
    assert played.counters.skipped == 4
    assert np.array(played.stream[-300:]).tobytes() == commands[-301:-1].tobytes()


def test_too_many_commands_are_skipped_the_oldest_first(played: Played) -> None:
    commands = sweep(30)
    played.play([[q] for q in commands[:3]])
    played.play([list(commands[3:]), *([] for _ in range(MOST_WAITING))])
    assert played.counters.skipped == 27 + 1 - MOST_WAITING
    played.accepted()


def test_what_waits_after_a_burst_is_skipped_one_by_one_down_to_the_reserve(played: Played) -> None:
    commands = sweep(8000)
    played.play([[q] for q in commands[:100]])
    played.play([list(commands[100:106])])
    played.play([[q] for q in commands[106:]])
    played.accepted()
    # Six at once, of which one was due: five wait on top of the reserve, each for a moment.
    assert played.counters.skipped == 5
    assert played.stream[-1].tobytes() == commands[-2].tobytes()
    lag = [int(np.flatnonzero((commands == q).all(axis=1))[0]) for q in (played.stream[400], played.stream[7900])]
    assert (400 + 5 - lag[0], 7900 + 5 - lag[1]) == (6, 1)
    assert 5 * DRAIN_S * HZ < 8000


def test_without_commands_the_stream_coasts_and_then_comes_to_rest(played: Played) -> None:
    commands = sweep(1500)
    played.play([[q] for q in commands])
    speed = np.diff(played.stream[-2:], axis=0)[0] * HZ
    assert np.abs(speed).max() > 0.1
    played.play([[] for _ in range(2000)])
    played.accepted()
    coasting = 1500 + round(COAST_S * HZ)
    coasted = (played.stream[coasting] - played.stream[coasting - 1]) * HZ
    assert np.abs(coasted - speed).max() < 0.05
    assert played.stream[-1].tobytes() == played.stream[-2].tobytes()
    assert not played.conditioner.idle
    # One command was still waiting when commands stopped.
    assert played.counters.starved == 1999
    before = len(played.stream)
    played.play([[q] for q in commands[1500 - 1 :: -1]])
    assert len(played.stream) == before + 1500
    played.accepted()


def test_a_stop_brakes_within_the_limits_and_the_next_stream_begins_where_the_robot_stands(played: Played) -> None:
    commands = sweep(1500)
    played.play([[q] for q in commands])
    played.conditioner.stop()
    played.play([[]])
    while not played.conditioner.idle:
        played.play([[]])
    played.accepted()
    assert len(played.stream) < 1500 + 300
    assert played.stream[-1].tobytes() == played.stream[-2].tobytes()
    stopped = len(played.stream)
    played.play([[], []])
    assert len(played.stream) == stopped
    elsewhere = MIDDLE + 0.1
    played.play([[commands[0]]], elsewhere)
    assert played.stream[-1].tobytes() == elsewhere.tobytes()


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40), st.booleans()), max_size=12), st.integers(0, 999))
def test_the_robot_accepts_whatever_happens(events: list[tuple[int, int, bool]], seed: int) -> None:
    random, played = np.random.default_rng(seed), Played()
    played.play([[q] for q in sweep(200)])
    for many, silence, stop in events:
        played.play([[random.uniform(LIMITS.lower, LIMITS.upper) for _ in range(many)]])
        played.play([[] for _ in range(silence)])
        if stop:
            played.conditioner.stop()
            while not played.conditioner.idle:
                played.play([[]])
            played.play([[]], played.stream[-1])
            played.conditioner.offer([played.stream[-1]])
            played.play([[]], played.stream[-1])
    played.accepted()
