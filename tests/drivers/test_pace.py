"""What a loop that was held up does next: a simulator makes up for it, a real robot's loop never hurries."""

from __future__ import annotations

import pytest

from unichunk.embodiments.drivers import pace as module
from unichunk.embodiments.drivers.pace import Pace

MS = 1_000_000


class Clock:
    """Time that passes when somebody sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep_until(self, due_ns: int) -> int:
        self.now_ns = max(self.now_ns, due_ns)
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "sleep_until", clock.sleep_until)
    return clock


def test_periods_are_a_period_apart(clock: Clock) -> None:
    pace = Pace(1000)
    assert [(pace.wait(), clock.now_ns) for _ in range(3)] == [(0, MS), (0, 2 * MS), (0, 3 * MS)]


@pytest.mark.parametrize(("stall_ms", "left_out", "periods_at_once"), [(60, 0, 60), (100, 0, 100), (150, 149, 1)])
def test_a_simulator_makes_up_for_short_stalls(
    clock: Clock, stall_ms: int, left_out: int, periods_at_once: int
) -> None:
    pace = Pace(1000)
    clock.now_ns += stall_ms * MS
    missed = [pace.wait() for _ in range(periods_at_once)]
    assert missed[0] == left_out
    assert clock.now_ns == stall_ms * MS
    pace.wait()
    assert clock.now_ns == (stall_ms + 1) * MS


@pytest.mark.parametrize("stall_ms", [3, 60, 150])
def test_a_real_robots_loop_never_hurries(clock: Clock, stall_ms: int) -> None:
    pace = Pace(1000, catch_up=False)
    clock.now_ns += stall_ms * MS + MS // 2
    before_ns = clock.now_ns
    assert pace.wait() == stall_ms - 1
    for _ in range(5):
        assert pace.wait() == 0
    assert clock.now_ns - before_ns >= 4 * MS
