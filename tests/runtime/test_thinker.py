"""Thoughts in slices: what a thinker does with everything that a reasoner may do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.runtime.errors import ObservationError, PolicyError
from unichunk.runtime.reasoning import THOUGHT_KEY
from unichunk.runtime.thinker import Thinker, Thought, ThoughtEnd
from unichunk.runtime.thought_telemetry import ThoughtTelemetry


class Script:
    """A reasoner whose thoughts are written down before: texts by step, errors among them; its clock, too."""

    most_steps = 4

    def __init__(self, *steps: str | Exception | None, begin_ns: int = 5, step_ns: int = 2) -> None:
        self.steps = list(steps)
        self.begin_ns, self.step_ns = begin_ns, step_ns
        self.now_ns = 100
        self.begun: list[object] = []

    def clock(self) -> int:
        return self.now_ns

    def begin(self, observation: Any) -> None:
        self.now_ns += self.begin_ns
        self.begun.append(observation)

    def step(self) -> str | None:
        self.now_ns += self.step_ns
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


def slices(thinker: Thinker, script: Script, count: int, **options: bool) -> list[Thought]:
    """All thoughts that end within some slices."""
    given = [thinker.think(lambda: {"seen": script.now_ns}, script.clock, **options) for _ in range(count)]
    return [thought for thought in given if thought is not None]


def test_a_text_is_acted_on_when_it_is_finished_and_not_before() -> None:
    script = Script(None, None, "grasp it")
    thinker = Thinker(script)
    assert slices(thinker, script, 3) == []
    assert thinker.told({"a": 1}) == {"a": 1}
    [thought] = slices(thinker, script, 1)
    assert thought == Thought(ThoughtEnd.FINISHED, "grasp it", 3, begun_ns=100, ended_ns=111, thinking_ns=11)
    assert thinker.told({"a": 1}) == {"a": 1, THOUGHT_KEY: "grasp it"}
    assert script.begun == [{"seen": 100}]


@pytest.mark.parametrize(
    ("second", "end", "text"),
    [
        ([""], ThoughtEnd.NOTHING, ""),
        ([None] * 4, ThoughtEnd.ABANDONED, ""),
        ([None, PolicyError("too long")], ThoughtEnd.FAILED, "too long"),
    ],
)
def test_whatever_else_becomes_of_a_thought_the_last_text_stays(second: list[Any], end: ThoughtEnd, text: str) -> None:
    script = Script("first", *second)
    thinker = Thinker(script)
    thoughts = slices(thinker, script, 2 + 1 + len(second))
    assert [(thought.end, thought.text) for thought in thoughts] == [(ThoughtEnd.FINISHED, "first"), (end, text)]
    assert thinker.text == "first"


def test_an_observation_that_cannot_be_thought_about_is_a_failed_thought() -> None:
    script = Script()

    def blind() -> dict[str, Any]:
        raise ObservationError("no picture")

    thought = Thinker(script).think(blind, script.clock)
    assert thought is not None
    assert (thought.end, thought.text, thought.steps) == (ThoughtEnd.FAILED, "no picture", 0)


def test_begins_and_steps_are_measured_apart_and_cold_ones_not_at_all() -> None:
    script = Script("a", "b", begin_ns=5_000_000_000, step_ns=1_000_000_000)
    thinker = Thinker(script)
    slices(thinker, script, 2, measured=False)
    assert thinker.slice_s is None
    slices(thinker, script, 1)
    assert thinker.slice_s is None, "no step was measured yet"
    slices(thinker, script, 1)
    assert thinker.slice_s == 5.0


def test_a_thought_begins_after_the_gap_and_goes_on_without_one() -> None:
    script = Script(None, "a")
    thinker = Thinker(script, gap_s=1e-8)
    assert thinker.wanted(100)
    slices(thinker, script, 1)
    assert thinker.wanted(100)
    slices(thinker, script, 2)
    assert not thinker.wanted(script.now_ns + 9)
    assert thinker.wanted(script.now_ns + 10)


def test_a_robot_that_sets_out_anew_forgets_what_it_was_thinking() -> None:
    script = Script(None, "a")
    thinker = Thinker(script, gap_s=1e-8)
    slices(thinker, script, 2)
    thinker.rest(500)
    assert not thinker.wanted(509)
    slices(thinker, script, 1)
    assert len(script.begun) == 2


def test_who_has_no_reasoner_never_wants_to_think() -> None:
    assert not Thinker(None).wanted(1 << 62)
    assert not Thinker(None).thinks


STEPS = st.one_of(st.none(), st.sampled_from(["", "go left", "go right"]), st.builds(PolicyError, st.just("no")))


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(STEPS, min_size=1, max_size=30), rests=st.sets(st.integers(0, 40)))
def test_every_step_belongs_to_one_thought_and_none_is_longer_than_its_limit(steps: list[Any], rests: set[int]) -> None:
    script = Script(*steps)
    thinker, telemetry, last, dropped = Thinker(script), ThoughtTelemetry(), "", 0
    slice_ = taken = 0
    while script.steps:
        if slice_ in rests:
            thinker.rest(script.now_ns)
            dropped, taken = dropped + taken, 0
        before = len(script.steps)
        thought = thinker.think(dict, script.clock)
        taken += before - len(script.steps)
        if thought is not None:
            telemetry.add(thought)
            assert thought.steps == taken <= script.most_steps
            assert thought.ended_ns - thought.begun_ns == thought.thinking_ns
            last = thought.text if thought.end is ThoughtEnd.FINISHED else last
            taken = 0
        assert thinker.text == telemetry.text == last
        slice_ += 1
    report = telemetry.report(0)
    assert (report["tokens"] if report else 0) + taken + dropped == len(steps)


def test_news_is_told_once_and_the_same_again_is_none() -> None:
    telemetry = ThoughtTelemetry()
    for end, text in [(ThoughtEnd.FAILED, "no"), (ThoughtEnd.FAILED, "no"), (ThoughtEnd.FINISHED, "go")] * 2:
        telemetry.add(Thought(end, text, 3, 0, 2_000_000_000, 1_000_000_000))
    telemetry.answer("go")
    telemetry.answer(None)
    telemetry.answer("stop")
    assert list(telemetry.news()) == [
        ("thought failed", "no; acting on the instruction"),
        ("thought", "'go' (3 tokens in 2.00 s)"),
        ("thought failed", "no; acting on 'go'"),
        ("thought", "'stop'"),
    ]
    assert list(telemetry.news()) == []


def test_the_report_of_thoughts() -> None:
    telemetry = ThoughtTelemetry()
    assert telemetry.report(0) is None
    telemetry.add(Thought(ThoughtEnd.FINISHED, "go", 3, 1_000_000_000, 3_000_000_000, 500_000_000))
    telemetry.add(Thought(ThoughtEnd.NOTHING, "", 1, 4_000_000_000, 4_500_000_000, 250_000_000))
    report = telemetry.report(1_000_000_000)
    assert report == {
        "text": "go",
        "finished": 1,
        "nothing": 1,
        "abandoned": 0,
        "failed": 0,
        "with_chunks": 0,
        "tokens": 4,
        "thinking_s": 0.75,
        "longest_s": 2.0,
        "last": [
            {"at_s": 2.0, "end": "finished", "text": "go", "tokens": 3, "took_s": 2.0, "thinking_s": 0.5},
            {"at_s": 3.5, "end": "nothing", "text": "", "tokens": 1, "took_s": 0.5, "thinking_s": 0.25},
        ],
    }
