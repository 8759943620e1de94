"""Where rows come from, one source at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.joint_space import JointSpace
from unichunk.embodiments.catalogue import load_spec
from unichunk.server.evaluation.blinding.action_buffer import ActionBuffer
from unichunk.server.evaluation.blinding.row_limits import RowLimits
from unichunk.server.evaluation.blinding.trial_rows import TrialRows
from unichunk.server.evaluation.planning.campaign import Blinding

SPEC = load_spec("so101")
N = len(SPEC.joints)
H, D, T = 4, 5, 16


def trial(on_miss: str = "hold", delay: int | None = D) -> tuple[ActionBuffer, TrialRows]:
    """A robot at rest whose trial begins at tick 0 + H."""
    buffer = ActionBuffer(SPEC, H)
    buffer.connect(SPEC.rest.astype(np.float32))
    buffer.hand_out(buffer.place(0, SPEC.rest))
    blinding = Blinding(rows=H, equalized_ticks=delay, on_miss="late" if on_miss == "late" else "hold")
    made: list[TrialRows] = []

    def make(tick: int, row: np.ndarray) -> TrialRows:
        made.append(TrialRows(SPEC, buffer.limits, blinding, JointSpace(T, N), tick, row, delay=delay, expected_s=0.05))
        return made[0]

    buffer.drive(make)
    return buffer, made[0]


def chunk(rows: TrialRows, ticket: object, slope: float = 0.001) -> tuple[np.ndarray, np.ndarray]:
    """A chunk that goes on from the committed rows, a little further in each row."""
    commitment = ticket.commitment  # type: ignore[attr-defined]
    joints = commitment.previous_chunk.astype(np.float64)
    last = joints[commitment.delay - 1]
    joints[commitment.delay :] = last + slope * np.arange(1, T - commitment.delay + 1)[:, None]
    return joints.astype(np.float32), joints


def test_a_chunk_takes_effect_exactly_d_ticks_after_its_observation() -> None:
    buffer, rows = trial()
    ticket = rows.begin(buffer.place(H, SPEC.rest))
    assert ticket is not None
    assert rows.waits_at == H + D
    first = buffer.hand_out(H)
    np.testing.assert_array_equal(first, np.tile(SPEC.rest.astype(np.float32), (H, 1)))
    rows.finish(ticket, *chunk(rows, ticket))
    second = buffer.hand_out(buffer.place(2 * H, SPEC.rest))
    moved = np.abs(second - SPEC.rest).max(axis=1) > 1e-4
    assert moved.tolist() == [tick >= H + D for tick in range(2 * H, 3 * H)]


@pytest.mark.parametrize(("on_miss", "missed", "late"), [("hold", 1, 0), ("late", 0, 1)])
def test_a_chunk_that_is_not_there_in_time_is_dropped_or_late_as_the_plan_says(
    on_miss: str, missed: int, late: int
) -> None:
    buffer, rows = trial(on_miss)
    ticket = rows.begin(buffer.place(H, SPEC.rest))
    assert ticket is not None
    buffer.hand_out(H)
    handed = buffer.hand_out(buffer.place(2 * H, SPEC.rest))
    record = rows.finish(ticket, *chunk(rows, ticket))
    assert (record is None) == (on_miss == "hold")
    assert (rows.counts.missed, rows.counts.late) == (missed, late)
    np.testing.assert_array_equal(buffer.hand_out(buffer.place(2 * H, SPEC.rest)), handed)
    after = buffer.hand_out(buffer.place(3 * H, SPEC.rest))
    assert (np.abs(after - SPEC.rest).max() > 1e-4) == (on_miss == "late")
    assert rows.counts.underruns > 0


def test_inferences_begin_every_d_ticks_however_fast_the_policy_is() -> None:
    buffer, rows = trial()
    began = []
    for tick in range(H, H + 40):
        ticket = rows.begin(buffer.place(tick, SPEC.rest))
        if ticket is not None:
            began.append(tick)
            rows.finish(ticket, *chunk(rows, ticket))
        buffer.hand_out(tick)
    assert set(np.diff(began)) == {D}


def test_without_a_declared_delay_it_follows_what_was_measured_in_ticks() -> None:
    buffer, rows = trial(delay=None)
    delays = []
    for request in range(1, 8):
        ticket = rows.begin(buffer.place(request * H, SPEC.rest))
        assert ticket is not None
        buffer.hand_out(request * H)
        record = rows.finish(ticket, *chunk(rows, ticket))
        assert record is not None
        assert record.intact
        delays.append(ticket.commitment.delay)
    # H rows are handed out ahead, and one tick is the margin; the expected latency before anything was measured.
    assert delays[0] == H + 1 + 1
    assert rows.counts.late == rows.counts.missed == 0


def test_a_robot_that_skips_ticks_stays_until_there_is_a_chunk_for_where_it_is() -> None:
    buffer, rows = trial()
    ticket = rows.begin(buffer.place(H, SPEC.rest))
    assert ticket is not None
    before = buffer.hand_out(H)
    after = buffer.hand_out(buffer.place(2 * H + 3, SPEC.rest))
    np.testing.assert_array_equal(after, np.tile(before[-1], (H, 1)))
    assert rows.finish(ticket, *chunk(rows, ticket)) is None
    assert rows.counts.gaps == 1


def test_home_is_reached_gently_and_said_only_once_the_robot_is_there() -> None:
    buffer = ActionBuffer(SPEC, H)
    away = (SPEC.rest + 0.6).astype(np.float32)
    buffer.connect(away)
    buffer.hand_out(buffer.place(0, away))
    buffer.home()
    tick, joints, steps = 0, away, []
    while not buffer.at_home:
        tick += H
        rows = buffer.hand_out(buffer.place(tick, joints))
        steps.append(np.abs(np.diff(np.concatenate([joints[None], rows]), axis=0)).max(axis=0))
        joints = rows[-1]
        assert tick < 400
    np.testing.assert_allclose(joints, SPEC.rest, atol=1e-6)
    assert (np.max(steps, axis=0) <= 0.25 * SPEC.limits.velocity / SPEC.action_hz + 1e-6).all()
    buffer.place(tick, SPEC.rest + 1.0)
    assert not buffer.at_home


def test_a_robot_that_is_moved_by_hand_while_it_holds_is_not_pulled_back() -> None:
    buffer = ActionBuffer(SPEC, H)
    buffer.connect(SPEC.rest.astype(np.float32))
    moved = np.clip(SPEC.rest + 0.8, SPEC.limits.lower, SPEC.limits.upper).astype(np.float32)
    for request in range(40):
        rows = buffer.hand_out(buffer.place(request * H, SPEC.rest if request < 3 else moved))
    np.testing.assert_allclose(rows[-1], moved, atol=1e-6)


def test_a_robot_outside_its_limits_is_told_to_stay_and_never_further_out() -> None:
    limits = RowLimits.of(SPEC.limits, SPEC.action_hz)
    outside = SPEC.limits.upper + 0.2
    np.testing.assert_allclose(limits.follow(outside, outside + 1.0), outside, atol=1e-6)
    back = limits.follow(outside, SPEC.rest)
    assert (back < outside).all()
    assert (outside - back <= SPEC.limits.velocity / SPEC.action_hz).all()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**20), scale=st.sampled_from([0.01, 1.0, 1e6, np.inf, np.nan]))
def test_rows_never_leave_the_limits_nor_outrun_them(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    limits = RowLimits.of(SPEC.limits, SPEC.action_hz)
    before = limits.follow(SPEC.rest, SPEC.rest)
    with np.errstate(invalid="ignore"):
        targets = scale * random.normal(size=(10, N))
    for row in limits.follow_all(before, targets):
        sent = row.astype(np.float32)
        assert (sent == row).all()
        assert (np.abs(row - before) <= SPEC.limits.velocity / SPEC.action_hz).all()
        assert (sent >= SPEC.limits.lower).all()
        assert (sent <= SPEC.limits.upper).all()
        before = row


def test_what_is_within_the_limits_passes_unchanged() -> None:
    limits = RowLimits.of(SPEC.limits, SPEC.action_hz)
    target = (SPEC.rest + 0.3 * SPEC.limits.velocity / SPEC.action_hz).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(limits.follow(SPEC.rest, target), target)


@pytest.mark.parametrize("delay", [None, 0, 1, 3, 9])
def test_a_stop_takes_effect_after_the_rows_that_the_robot_is_bound_to(delay: int | None) -> None:
    buffer, rows = trial()
    braking = SPEC.limits.acceleration / SPEC.action_hz**2
    speed = 1.5 * float(braking.min())
    last = (SPEC.rest.astype(np.float32)[None], H)
    for tick in range(H, 3 * H):
        ticket = rows.begin(buffer.place(tick, SPEC.rest))
        if ticket is not None:
            rows.finish(ticket, *chunk(rows, ticket, slope=speed))
        last = (buffer.hand_out(tick), tick)
    before, tick = last
    buffer.hold()
    after = buffer.hand_out(buffer.place(tick + 1, SPEC.rest), delay)
    kept = H - 1 if delay is None else min(delay, H - 1)
    np.testing.assert_array_equal(after[:kept], before[1 : 1 + kept])
    path = np.concatenate([before[:1], after, buffer.hand_out(buffer.place(tick + 1 + H, SPEC.rest), delay)])
    steps = np.abs(np.diff(path, axis=0))
    assert (steps <= SPEC.limits.velocity / SPEC.action_hz).all()
    # The first joint is far from its ends.
    steps, braking = steps[:, 0], braking[0]
    np.testing.assert_allclose(steps[:kept], speed, atol=1e-5)
    # No harder than the joints may, and no softer.
    expected = np.maximum(speed - braking * np.arange(1, len(steps) - kept + 1), 0.0)
    np.testing.assert_allclose(steps[kept:], expected, atol=1e-5)
    held = buffer.hand_out(buffer.place(tick + 1 + 2 * H, SPEC.rest))
    np.testing.assert_array_equal(held[1:], held[:-1])
