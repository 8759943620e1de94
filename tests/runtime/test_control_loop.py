"""Orders to the control loop, and what it does when commands do not leave or steps are missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.guard import Guard
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.motion import Hold, Ramp
from unichunk.runtime.tick_status import TickStatus
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from numpy.typing import NDArray

HZ = 100
LIMITS = JointLimits.of(["a", "b"], [-2.0, -2.0], [2.0, 2.0], [3.0, 3.0], [38.0, 38.0])


class Sink:
    def __init__(self) -> None:
        self.sent: list[tuple[int, NDArray[np.float64]]] = []
        self.open = True

    def send(self, tick: int, q: NDArray[np.float64]) -> bool:
        if self.open:
            self.sent.append((tick, q.copy()))
        return self.open


class Constant:
    """A target far away: the guard goes there as fast as it may."""

    def sample(self, step: int, target: NDArray[np.float64]) -> TickStatus:
        target[:] = 1.9
        return TickStatus.RUNNING


class Driven:
    def __init__(self) -> None:
        self.sink = Sink()
        self.loop = ControlLoop(Guard(LIMITS, HZ), self.sink, Timebase(0, 20, HZ))
        self.step = 0

    def run(self, steps: int, missed: int = 0) -> None:
        for _ in range(steps):
            self.step += 1 + missed
            self.loop.step(self.step, 0, 0, missed)


@pytest.fixture
def driven() -> Driven:
    return Driven()


def ramp() -> Ramp:
    return Ramp(np.zeros(2), np.ones(2), velocity=LIMITS.velocity, acceleration=LIMITS.acceleration, command_hz=HZ)


def test_nothing_is_sent_before_the_first_restart(driven: Driven) -> None:
    driven.loop.follow(Constant())
    driven.run(10)
    assert driven.sink.sent == []


@pytest.mark.parametrize("stop", ["hold", "silence"])
def test_a_stop_beats_a_restart_that_was_not_taken_up(driven: Driven, stop: str) -> None:
    driven.loop.restart(np.zeros(2), ramp())
    getattr(driven.loop, stop)()
    assert not driven.loop.settled
    driven.run(50)
    assert driven.loop.settled
    assert not any(q.any() for _, q in driven.sink.sent)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_hold_over_a_restart_that_was_not_taken_up_holds_where_that_stream_begins(
    driven: Driven, *, earlier: bool
) -> None:
    stands = np.array([0.7, -0.4])
    if earlier:
        driven.loop.restart(np.zeros(2), ramp())
        driven.run(200)
        driven.loop.silence()
        driven.run(1)
    sent = len(driven.sink.sent)
    driven.loop.restart(stands, ramp())
    driven.loop.hold()
    driven.run(50)
    assert len(driven.sink.sent) == sent + 50
    assert all(q.tobytes() == stands.tobytes() for _, q in driven.sink.sent[sent:])


def test_further_orders_do_not_begin_the_stream_again(driven: Driven) -> None:
    driven.loop.restart(np.zeros(2), Constant())
    driven.run(20)
    moved = driven.sink.sent[-1][1]
    assert (moved > 0.1).all()
    driven.loop.hold()
    driven.loop.follow(Constant())
    driven.run(1)
    assert (driven.sink.sent[-1][1] > moved).all()


def test_a_hold_after_silence_stays_silent(driven: Driven) -> None:
    driven.loop.restart(np.zeros(2), Constant())
    driven.run(5)
    driven.loop.silence()
    driven.loop.hold()
    before = len(driven.sink.sent)
    driven.run(5)
    assert len(driven.sink.sent) == before


def test_a_hold_brakes_to_rest_and_then_is_settled(driven: Driven) -> None:
    driven.loop.restart(np.zeros(2), Constant())
    driven.run(20)
    driven.loop.hold()
    assert not driven.loop.settled
    driven.run(30)
    assert driven.loop.settled
    assert (driven.sink.sent[-1][1] == driven.sink.sent[-2][1]).all()


def test_a_start_that_is_not_finite_is_refused(driven: Driven) -> None:
    with pytest.raises(ValueError, match="finite"):
        driven.loop.restart(np.array([0.0, np.nan]), Hold())


def test_the_command_carries_its_tick(driven: Driven) -> None:
    driven.loop.restart(np.zeros(2), Hold())
    driven.run(12)
    assert [tick for tick, _ in driven.sink.sent] == [step * 20 // HZ for step in range(1, 13)]


def test_after_commands_that_did_not_leave_the_stream_goes_on_from_the_last_that_did(driven: Driven) -> None:
    driven.loop.restart(np.zeros(2), Constant())
    driven.run(25)
    last = driven.sink.sent[-1][1]
    driven.sink.open = False
    driven.run(20)
    driven.sink.open = True
    driven.run(1)
    step = np.abs(driven.sink.sent[-1][1] - last)
    assert (step <= LIMITS.acceleration / HZ**2 + 1e-12).all(), "the robot has come to rest meanwhile"
    assert driven.loop.telemetry.unsent == 20
    assert driven.loop.telemetry.largest_step.max() <= LIMITS.velocity.max() / HZ + 1e-12


def test_after_missed_steps_the_stream_starts_from_rest(driven: Driven) -> None:
    driven.loop.restart(np.zeros(2), Constant())
    driven.run(25)
    last = driven.sink.sent[-1][1]
    driven.run(1, missed=30)
    step = np.abs(driven.sink.sent[-1][1] - last)
    assert (step <= LIMITS.acceleration / HZ**2 + 1e-12).all()
    assert driven.loop.telemetry.missed_steps == 30
