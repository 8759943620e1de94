"""The action buffer under any order of requests, commands and chunks: what was handed out is what is so."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.evaluation.joint_space import JointSpace
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.chunking import late_seam_fade
from unichunk.runtime.errors import PolicyError
from unichunk.server.evaluation.blinding.action_buffer import ActionBuffer, TickRefused
from unichunk.server.evaluation.blinding.answer import answer
from unichunk.server.evaluation.blinding.mode import Mode
from unichunk.server.evaluation.blinding.trial_rows import Ticket, TrialRows
from unichunk.server.evaluation.planning.campaign import Blinding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.producer import ChunkRecord

SPEC = load_spec("so101")
N = len(SPEC.joints)
STEP = SPEC.limits.velocity / SPEC.action_hz
LOWER, UPPER = SPEC.limits.lower, SPEC.limits.upper
BRAKING = SPEC.limits.acceleration / SPEC.action_hz**2
T = 20


@dataclass
class Arrived:
    """A chunk that took effect: its first row's tick, and what it was told had run until then."""

    record: ChunkRecord
    prefix: NDArray[np.float32]

    @property
    def first_tick(self) -> int:
        return self.record.commitment.tick + self.record.first


class BufferMachine(RuleBasedStateMachine):
    """A robot, an operator and policies, against a model that is a dictionary."""

    @initialize(rows=st.integers(1, 6), seed=st.integers(0, 2**16))
    def begin(self, rows: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.rows = rows
        self.buffer = ActionBuffer(SPEC, rows)
        self.handed: dict[int, NDArray[np.float32]] = {}
        self.planned: dict[int, NDArray[np.float64]] = {}
        self.braking: NDArray[np.float64] | None = None
        self.source: TrialRows | None = None
        self.tickets: list[tuple[TrialRows, Ticket]] = []
        self.arrived: list[Arrived] = []
        self.length = 0
        self.stops = False
        self.connect()

    @rule(command=st.sampled_from(["", "", "", "", "", "hold", "home", "connect"]))
    def operate(self, command: str) -> None:
        """Mostly nothing."""
        if command:
            getattr(self, command)()

    def connect(self) -> None:
        """A robot comes (again), wherever it stands."""
        joints = self.random.uniform(LOWER, UPPER).astype(np.float32)
        self.buffer.connect(joints)
        self.joints = joints
        self.tick: int | None = None
        self.handed.clear()
        self._forget()
        self.braking = np.zeros(N)

    @rule(times=st.integers(1, 4), every=st.integers(0, 6), good=st.booleans())
    def go_on(self, times: int, every: int, good: bool) -> None:
        """Some requests in a row, and what they began comes back in time."""
        for _ in range(times):
            self.ask(every, counts=True, gap=0)
            if good and self.tickets:
                self.arrive(len(self.tickets) - 1, "calm")

    @rule(
        tick=st.integers(-50, 50),
        counts=st.booleans(),
        gap=st.sampled_from([0] * 8 + [1, 3, 19, 60]),
        bound=st.sampled_from([None, 0, 1, 2, 9]),
    )
    def ask(self, tick: int, counts: bool, gap: int, bound: int | None = None) -> None:
        """The next request: one to H ticks after the one before, or more where it skips some."""
        if self.tick is None:
            asked: int | None = tick if counts else None
        elif gap and counts:
            asked = self.buffer.end + gap
            self._skip(gap)
        else:
            asked = self.tick + abs(tick) % (self.rows + 1) if counts else None
        self.tick = self.buffer.place(asked, self.joints)
        if asked is not None:
            assert self.tick == asked
        if self.source is not None:
            self._commit(self.source, self.tick)
        if self.stops and bound is not None:
            self._take_back(self.tick + bound)
        self.stops = False
        self._check(self.buffer.hand_out(self.tick, bound))

    def _take_back(self, tick: int) -> None:
        """A stop may change what was handed out and does not bind the robot; it brakes from there."""
        if tick < self.buffer.end:
            for later in [later for later in self.handed if later >= tick]:
                del self.handed[later]
            self.braking = self._last_step()
            self.joints = self.handed[max(self.handed)] if self.handed else self.joints

    def _skip(self, gap: int) -> None:
        """Ticks that were not handed out did not run: the robot stayed where it was, or where it says."""
        self.stops = False
        long = gap > SPEC.action_hz
        if not long:
            self.joints = self.handed[max(self.handed)]
        self.handed.clear()
        self.handed[self.buffer.end + gap - 1] = self.joints
        self.planned.clear()
        self.arrived.clear()
        if self.braking is not None:
            self.braking = np.zeros(N)

    def _commit(self, source: TrialRows, tick: int) -> None:
        ticket = source.begin(tick)
        if ticket is not None:
            self.tickets.append((source, ticket))
            end = max([*self.planned, self.buffer.end - 1])
            for missing in range(end + 1, ticket.commitment.tick + ticket.commitment.delay):
                self.planned[missing] = self._plan(missing - 1)

    def _plan(self, tick: int) -> NDArray[np.float64]:
        if tick in self.planned:
            return self.planned[tick]
        return self.handed[max(self.handed)].astype(np.float64) if self.handed else self.buffer.row

    def _check(self, rows: NDArray[np.float32]) -> None:
        assert rows.shape == (self.rows, N)
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        data = answer(rows)
        self.length = self.length or len(data)
        assert len(data) == self.length
        assert self.tick is not None
        for tick, row in enumerate(rows, self.tick):
            if tick in self.handed:
                np.testing.assert_array_equal(row, self.handed[tick])
                continue
            before = self.handed[max(self.handed)] if self.handed else self.joints
            if self.braking is not None:
                # What moves on after a stop only slows down, in the direction that it had.
                step = row.astype(float) - before.astype(float)
                assert (np.abs(step) <= np.maximum(np.abs(self.braking) - BRAKING, 0.0) + 1e-6).all()
                assert (step * self.braking >= -1e-12).all()
                self.braking = step
            if self.source is not None:
                expected = self.planned.get(tick, before)
                # The margin for rounding adds up over the rows of a chunk that is too fast.
                np.testing.assert_allclose(row, expected, atol=5e-5)
            assert (np.abs(row.astype(float) - before.astype(float)) <= STEP).all()
            assert (row >= LOWER).all()
            assert (row <= UPPER).all()
            self.handed[tick] = row
        self.joints = rows[-1]
        for chunk in [chunk for chunk in self.arrived if chunk.first_tick in self.handed]:
            self.arrived.remove(chunk)
            if chunk.record.intact:
                for i, row in enumerate(chunk.prefix):
                    ran = self.handed.get(chunk.record.commitment.tick + i)
                    assert ran is not None
                    # A row at a limit is rounded to float32 inwards.
                    np.testing.assert_allclose(row, ran, atol=2e-6)

    def hold(self) -> None:
        """The operator's button."""
        holds, stops = self.buffer.mode is Mode.HOLD, self.stops
        self.buffer.hold()
        braking = self.braking
        self._forget()
        self.braking = braking if holds else self._last_step()
        self.stops = stops or not holds

    def _last_step(self) -> NDArray[np.float64]:
        ticks = sorted(self.handed)[-2:]
        rows = [self.handed[tick].astype(np.float64) for tick in ticks]
        return rows[1] - rows[0] if len(rows) == 2 else np.zeros(N)

    def home(self) -> None:
        """The next trial is armed."""
        self.buffer.home()
        self._forget()

    @precondition(lambda self: self.tick is not None)
    @rule(equal=st.booleans(), late=st.booleans(), extra=st.integers(0, 4), again=st.integers(0, 7))
    def run(self, equal: bool, late: bool, extra: int, again: int) -> None:
        """A trial begins; the chunks of older ones may still come."""
        if self.source is not None and again:
            return
        delay = self.rows + extra if equal else None
        blinding = Blinding(rows=self.rows, equalized_ticks=delay, on_miss="late" if late else "hold")
        make = partial(self._source, blinding, delay)
        self.buffer.drive(make)
        assert self.source is not None
        assert self.source.begin(self.buffer.end - 1) is None

    def _source(self, blinding: Blinding, delay: int | None, tick: int, row: NDArray[np.float64]) -> TrialRows:
        self._forget()
        space = JointSpace(T, N)
        limits = self.buffer.limits
        self.source = TrialRows(SPEC, limits, blinding, space, tick, row, delay=delay, expected_s=0.05)
        return self.source

    def _forget(self) -> None:
        self.source, self.braking, self.stops = None, None, False
        self.planned.clear()
        self.arrived.clear()

    @precondition(lambda self: self.tickets)
    @rule(
        which=st.integers(0, 50),
        kind=st.sampled_from(["calm", "calm", "calm", "wild", "wild", "nan", "short", "other"]),
    )
    def arrive(self, which: int, kind: str) -> None:
        """A chunk comes back: of this trial or an older one, in time or not, good or not."""
        source, ticket = self.tickets.pop(which % len(self.tickets))
        commitment = ticket.commitment
        unified, joints = self._chunk(commitment.previous_chunk, commitment.delay, kind)
        if self.source is not None and source is not self.source:
            assert self.source.finish(ticket, unified, joints) is None
        was_open = source.waits_at is not None
        cursor = max(self.handed, default=self.buffer.end - 1)
        try:
            record = source.finish(ticket, unified, joints)
        except PolicyError:
            assert kind in {"nan", "short"}
            return
        if record is None or record.lost or source is not self.source:
            return
        assert was_open
        assert kind not in {"nan", "short"}
        assert commitment.tick + record.first > cursor
        if not record.dropped and kind != "other":
            assert record.intact
        self._publish(record, joints)
        self.arrived.append(Arrived(record, unified[: record.first]))

    def _publish(self, record: ChunkRecord, joints: NDArray[np.float64]) -> None:
        """What the model makes of a chunk: a seam that is mended, steps that are possible."""
        start = record.commitment.tick + record.first
        before = self._plan(start - 1)
        targets = joints[record.first :].copy()
        if record.dropped:
            shift = before - joints[record.first - 1]
            targets += late_seam_fade(shift, self.buffer.limits.step, len(targets))[:, None] * shift
        for tick in [tick for tick in self.planned if tick >= start]:
            del self.planned[tick]
        for tick, target in enumerate(targets, start):
            before = np.clip(np.clip(target, LOWER, UPPER), before - STEP, before + STEP)
            self.planned[tick] = before

    def _chunk(
        self, previous: NDArray[np.float32], delay: int, kind: str
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        steps = self.random.normal(0.0, 0.2 * STEP, (T, N))
        joints = previous[max(delay - 1, 0)].astype(np.float64) + np.cumsum(steps, axis=0)
        joints = np.clip(joints, LOWER, UPPER)
        if kind == "wild":
            joints[delay:] = self.random.uniform(-100, 100, (T - delay, N))
        joints = joints.astype(np.float32).astype(np.float64)
        unified = joints.astype(np.float32)
        unified[:delay] = previous[:delay]
        if kind == "nan":
            unified[-1, 2] = np.nan
            joints[-1, 2] = np.nan
        if kind == "other":
            unified[:1] += 1.0
        return (unified[:-1], joints[:-1]) if kind == "short" else (unified, joints)

    @rule(which=st.integers(0, 50))
    def nothing(self, which: int) -> None:
        """A policy that did not answer in time."""
        if self.tickets:
            source, ticket = self.tickets.pop(which % len(self.tickets))
            source.drop(ticket)

    @precondition(lambda self: self.tick is not None)
    @rule(back=st.integers(1, 5))
    def go_back(self, back: int) -> None:
        """Ticks do not go back."""
        assert self.tick is not None
        with pytest.raises(TickRefused):
            self.buffer.place(self.tick - back, self.joints)

    @invariant()
    def nothing_had_to_be_corrected(self) -> None:
        assert not hasattr(self, "buffer") or self.buffer.corrections == 0


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_mode_is_what_was_asked_for() -> None:
    buffer = ActionBuffer(SPEC, 4)
    buffer.connect(SPEC.rest.astype(np.float32))
    assert buffer.mode is Mode.HOLD
    buffer.home()
    assert buffer.mode is Mode.HOME
