"""Voided trials come again: once, later, at a place that nobody can choose or foresee."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.even import is_even
from unichunk.server.evaluation.ledger.trial import Trial, TrialState
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.planning.keys import derive_keys, trial_id
from unichunk.server.evaluation.planning.redo import redo_of

KEYS = derive_keys(bytes(32))
BLOCKS, GROUPED, DRAW = Randomization


def planned(*layouts: str) -> list[Trial]:
    return [
        Trial(id=trial_id(KEYS.id_key, slot), slot=slot, attempt=0, position=float(slot), layout=layout)
        for slot, layout in enumerate(layouts)
    ]


def redo(voided: Trial, trials: list[Trial], method: Randomization = BLOCKS, key: bytes = KEYS.redo_key) -> Trial:
    again = redo_of(voided, trials, method=method, id_key=KEYS.id_key, redo_key=key)
    return replace(voided, id=again.trial, position=again.position, attempt=voided.attempt + 1)


def void(trials: list[Trial], at: int, method: Randomization) -> Trial:
    """Void the trial at an index, and plan it again."""
    again = redo(trials[at], trials, method)
    trials[at] = replace(trials[at], state=TrialState.VOID)
    trials.append(again)
    return again


@given(st.data(), st.sampled_from(Randomization))
def test_whatever_is_voided_comes_again_later_at_a_place_of_its_own(data: st.DataObject, method: Randomization) -> None:
    layouts = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
    trials = planned(*layouts)
    for _ in range(data.draw(st.integers(0, 30))):
        open_ones = [i for i, trial in enumerate(trials) if trial.state is not TrialState.VOID]
        at = data.draw(st.sampled_from(open_ones))
        trials[at] = replace(trials[at], state=data.draw(st.sampled_from(TrialState)))
        if trials[at].state is TrialState.VOID:
            trials[at] = replace(trials[at], state=TrialState.INTERRUPTED)
            voided = trials[at]
            again = void(trials, at, method)
            assert again.position > voided.position
            assert (again.slot, again.layout, again.state) == (voided.slot, voided.layout, voided.state)
            trials[-1] = replace(again, state=TrialState.PLANNED)
    assert len({trial.position for trial in trials}) == len(trials)
    assert len({trial.id for trial in trials}) == len(trials)
    assert Counter(trial.slot for trial in trials if trial.state is not TrialState.VOID) == dict.fromkeys(
        range(len(layouts)), 1
    )


def test_it_is_a_function_of_the_keys_and_of_what_is_planned() -> None:
    trials = planned(*"abcabc")
    again = redo(trials[0], trials)
    assert again == redo(trials[0], trials[::-1])
    assert again == redo(trials[0], trials[1:])
    assert again.id == trial_id(KEYS.id_key, 0, 1)
    places = {redo(trials[0], trials, key=bytes([n]) * 32).position for n in range(40)}
    assert places == {1.5, 2.5, 3.5, 4.5, 6.0}


def test_places_behind_each_later_trial_are_even_and_never_the_next_one() -> None:
    trials = planned(*"abcdef")
    trials[0] = replace(trials[0], state=TrialState.RUNNING)
    places = (redo(trials[0], trials, key=n.to_bytes(32, "big")).position for n in range(1000))
    assert is_even(places, (1.5, 2.5, 3.5, 4.5, 6.0))


def test_trials_in_hand_and_done_are_no_places() -> None:
    trials = planned(*"abcdef")
    states = [TrialState.RUNNING, TrialState.LEASED, TrialState.SCORED, TrialState.PLANNED, TrialState.VOID]
    trials[:5] = [replace(trial, state=state) for trial, state in zip(trials[:5], states, strict=True)]
    places = {redo(trials[0], trials, key=bytes([n]) * 32).position for n in range(40)}
    assert places == {3.5, 6.0}


def test_two_voids_of_one_slot_and_voids_of_two_slots_draw_on_their_own() -> None:
    def places(key: bytes) -> tuple[float, float]:
        trials = planned(*"abcdefgh")
        first = redo(trials[0], trials, key=key)
        second = redo(trials[1], trials, key=key)
        return first.position, second.position

    both = {places(bytes([n]) * 32) for n in range(200)}
    assert len(both) > 30


@pytest.mark.parametrize("method", Randomization)
def test_at_the_end_nothing_is_left_to_hide_behind(method: Randomization) -> None:
    trials = planned("a", "b")
    trials[0] = replace(trials[0], state=TrialState.SCORED)
    assert redo(trials[1], trials, method).position == 2.0


def test_grouped_layouts_cost_no_other_reset() -> None:
    trials = planned(*"aabbaabb")
    places = {redo(trials[0], trials, GROUPED, bytes([n]) * 32).position for n in range(60)}
    assert places == {1.5, 4.5, 5.5}
    # None of this layout is left: at the end.
    assert {redo(trials[5], trials, GROUPED, bytes([n]) * 32).position for n in range(20)} == {8.0}


@pytest.mark.parametrize("method", [BLOCKS, DRAW])
def test_thousands_of_voids_do_not_run_out_of_places(method: Randomization) -> None:
    trials = planned(*"abc" * 2)
    for _ in range(1500):
        at = min(
            (i for i, trial in enumerate(trials) if trial.state is TrialState.PLANNED), key=lambda i: trials[i].position
        )
        again = void(trials, at, method)
        assert again.position > trials[at].position
        # What is over long ago keeps its place in the book; here it would only take time.
        trials = [trial for trial in trials if trial.state is TrialState.PLANNED or trial is trials[at]]
    assert len({trial.position for trial in trials}) == len(trials)


def test_a_gap_that_cannot_be_halved_any_more_is_passed_by() -> None:
    trials = planned(*"abcd")
    above_one = 1.0 + 2.0**-52
    trials[2] = replace(trials[2], position=above_one)
    places = {redo(trials[0], trials, key=bytes([n]) * 32).position for n in range(60)}
    middle = (above_one + 3.0) / 2
    assert places == {middle, 4.0}
