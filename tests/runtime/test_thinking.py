"""Thinking never starves control: the inference thread's own cycles in virtual time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.runtime.thinking_world import Times, World, ends
from unichunk.runtime.producer import Producer
from unichunk.runtime.thinker import ThoughtEnd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in reversed(made):
        world.close()


def run(worlds: list[World], times: Times, *, thinks: bool, tokens: int | None = 3, ticks: int = 400) -> World:
    world = World(times, thinks=thinks)
    worlds.append(world)
    world.tokens = tokens
    world.run_for(ticks)
    return world


def test_thoughts_are_thought_while_the_robot_moves_and_no_row_is_missing(worlds: list[World]) -> None:
    alone, thinking = (run(worlds, Times(), thinks=thinks) for thinks in (False, True))
    assert alone.model.tally.underruns == thinking.model.tally.underruns == 0
    assert ends(thinking).count(ThoughtEnd.FINISHED) >= 50
    assert thinking.model.tally.violations == 0
    assert len(set(thinking.acted_on)) >= 20, "finished texts reach the policy"


SLOW_CAMERA = Times(chunk_length=32, latency=1500, camera=4000, lateness=200, age=300)
"""Frames are rare, and acted on as soon as they arrive, by who does nothing else."""


def test_the_delay_does_not_grow_by_thinking(worlds: list[World]) -> None:
    """The age of an observation that waited for a thought is no measurement of how old the next will be."""
    alone, thinking = (run(worlds, SLOW_CAMERA, thinks=thinks) for thinks in (False, True))
    assert thinking.thoughts
    assert thinking.estimator.delay() <= alone.estimator.delay()


def test_no_observation_waits_until_its_chunk_would_come_too_late(worlds: list[World]) -> None:
    """The policy was trained with short prefixes: it cannot commit as many rows as an old observation needs."""
    times = replace(SLOW_CAMERA, trained=4)
    alone, thinking = (run(worlds, times, thinks=thinks) for thinks in (False, True))
    assert thinking.thoughts
    for world in (alone, thinking):
        assert world.thread.telemetry.late_chunks == 0
        assert world.thread.telemetry.saturated == 0


def test_a_thought_that_never_ends_is_given_up_and_the_policy_acts_on(worlds: list[World]) -> None:
    world = run(worlds, Times(), thinks=True, tokens=None)
    assert set(ends(world)) == {ThoughtEnd.ABANDONED}
    assert {thought.steps for thought in world.thoughts} == {World.most_steps}
    assert world.model.tally.underruns == 0
    assert set(world.acted_on) == {world.expected_text}


def test_slices_that_leave_no_time_are_not_thought(worlds: list[World]) -> None:
    world = run(worlds, Times(begin=30_000), thinks=True)
    assert world.thoughts == []
    assert world.model.tally.underruns == 0


@pytest.mark.parametrize("latency", [500, 2500])
def test_without_patience_there_are_more_chunks_and_thoughts_all_the_same(worlds: list[World], latency: int) -> None:
    alone = run(worlds, Times(latency=latency), thinks=False)
    patient, brisk = (run(worlds, Times(latency=latency, patience=p), thinks=True) for p in (1 << 40, 0))
    assert brisk.thread.telemetry.chunks > 0.55 * alone.thread.telemetry.chunks > patient.thread.telemetry.chunks
    assert patient.model.tally.underruns == brisk.model.tally.underruns == 0
    assert len(patient.thoughts) > len(brisk.thoughts) > 10


def test_a_gap_between_thoughts_belongs_to_acting(worlds: list[World]) -> None:
    world = run(worlds, Times(gap=20_000), thinks=True)
    starts = [thought.begun_ns for thought in world.thoughts]
    stops = [thought.ended_ns for thought in world.thoughts]
    assert len(starts) > 5
    assert all(start - stop >= 1_000_000_000 for start, stop in zip(starts[1:], stops, strict=False))


def test_thinking_without_looking_at_the_rows_starves_control(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other tests would not see if it were not so."""
    monkeypatch.setattr(Producer, "can_wait", lambda *_: True)
    world = World(Times(), thinks=True)
    worlds.append(world)
    world.cycles(300)
    assert world.model.tally.underruns > 0


LEAST = 50
"""Shortest step of a thought: a thousand in a tick would take long to play."""


class Thinking(RuleBasedStateMachine):
    """A policy acts and thinks; nothing ever takes longer than was measured, and anything else may happen."""

    world: World

    @initialize(
        length=st.integers(10, 32),
        latency=st.integers(100, 6000),
        begin=st.integers(LEAST, 6000),
        step=st.integers(LEAST, 3000),
        camera=st.integers(200, 4000),
        lateness=st.integers(0, 500),
        gap=st.sampled_from([0, 0, 700, 10_000]),
        patience=st.sampled_from([0, 1000, 1 << 40]),
    )
    def set_up(self, length: int, latency: int, begin: int, step: int, patience: int, **others: int) -> None:
        times = Times(length, latency, begin, step, patience=patience, **others)
        assume(times.fits)
        self.world = World(times, thinks=True)

    @rule(share=st.floats(0.01, 1.0), ticks=st.integers(1, 40))
    def run_with_latency(self, share: float, ticks: int) -> None:
        self.world.latency = int(share * self.world.times.latency)
        self.world.run_for(ticks)

    @rule(share=st.floats(0.01, 1.0), ticks=st.integers(1, 40))
    def run_with_slices(self, share: float, ticks: int) -> None:
        self.world.begin_ = max(LEAST, int(share * self.world.times.begin))
        self.world.step_ = max(LEAST, int(share * self.world.times.step))
        self.world.run_for(ticks)

    @rule()
    def run_at_worst(self) -> None:
        times = self.world.times
        self.world.latency, self.world.begin_, self.world.step_ = times.latency, times.begin, times.step
        self.world.run_for(40)

    @rule(share=st.floats(0.0, 1.0))
    def frames_arrive(self, share: float) -> None:
        self.world.lateness = int(share * self.world.times.lateness)

    @rule(tokens=st.one_of(st.none(), st.integers(1, 15)))
    def thoughts_get(self, tokens: int | None) -> None:
        self.world.tokens = tokens

    @rule(fault=st.booleans())
    def thinking_fails(self, fault: bool) -> None:
        self.world.fault = fault

    @precondition(lambda self: self.world.tick > 5)
    @rule()
    def held_and_set_out_anew(self) -> None:
        self.world.set_out()

    @invariant()
    def no_row_is_missing(self) -> None:
        # Committed rows, what is locked and what is stitched are watched by the ring's model at every call.
        if hasattr(self, "world"):
            assert self.world.model.tally.underruns == 0
            assert self.world.model.tally.violations == 0
            assert self.world.thread.telemetry.late_chunks == 0
            assert self.world.estimator.delay() <= self.world.known_delay

    def teardown(self) -> None:
        if hasattr(self, "world"):
            event(f"thoughts: {min(len(self.world.thoughts), 5)}")
            self.world.close()


TestThinkingMachine = Thinking.TestCase
TestThinkingMachine.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
