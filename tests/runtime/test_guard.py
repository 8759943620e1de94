"""Whatever goes into the guard, what comes out is within the limits; what is within them comes out as it went in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.runtime.command_checker import check_limits
from unichunk.runtime.guard import TOLERANCE, Guard
from unichunk.runtime.limits import JointLimits

RATES = st.sampled_from([50, 100, 250, 1000])
UNHURRIED = settings(deadline=None, max_examples=40)
LONG_STREAMS = settings(deadline=None, max_examples=20)


@st.composite
def joint_limits(draw: st.DrawFn, most: int = 4) -> JointLimits:
    n = draw(st.integers(1, most))
    lower = [draw(st.floats(-3, 3)) for _ in range(n)]
    # A joint may be locked: an empty range.
    upper = [low + draw(st.one_of(st.just(0.0), st.floats(0.01, 5))) for low in lower]
    velocity = [draw(st.floats(0.05, 10)) for _ in range(n)]
    acceleration = [draw(st.floats(0.5, 100)) for _ in range(n)]
    # From a ramp of 1 ms up to full acceleration to one of half a second, or none.
    jerk = [draw(st.one_of(st.just(np.inf), st.floats(0.001, 0.5).map(lambda s, a=a: a / s))) for a in acceleration]
    braking = [draw(st.floats(0.05, 1.0)) * a for a in acceleration]
    return JointLimits.of([f"joint{i}" for i in range(n)], lower, upper, velocity, acceleration, jerk, braking)


def plain_limits(n: int = 1) -> JointLimits:
    return JointLimits.of([f"joint{i}" for i in range(n)], [-2.0] * n, [2.0] * n, [3.0] * n, [38.0] * n)


ROBOTS = {
    "fr3": (1000, JointLimits.of(["joint"], [-2.73], [2.73], [2.618], [9.9], [4950.0], [3.6])),
    "fr3 wrist": (1000, JointLimits.of(["joint"], [-2.8], [2.8], [5.258], [9.9], [4950.0], [8.0])),
    "so101": (100, JointLimits.of(["joint"], [-1.9], [1.9], [3.0], [38.0], [1000.0], [19.0])),
    "g1": (250, JointLimits.of(["joint"], [-1.0], [1.0], [10.0], [60.0], [3000.0], [30.0])),
    "adam": (400, JointLimits.of(["joint"], [-1.0], [1.0], [8.0], [60.0], [3000.0], [30.0])),
    "g1, body": (500, JointLimits.of(["joint"], [-1.0], [1.0], [8.0], [80.0], [2000.0], [80.0])),
    "free jerk": (100, JointLimits.of(["joint"], [-1.9], [1.9], [3.0], [38.0])),
}
ROBOT = st.sampled_from(sorted(ROBOTS))


def several(limits: JointLimits, n: int) -> JointLimits:
    """The limits of one joint for n like it."""
    fields = (limits.lower, limits.upper, limits.velocity, limits.acceleration, limits.jerk, limits.braking)
    return JointLimits.of([f"joint{i}" for i in range(n)], *(np.repeat(field, n) for field in fields))


def at_rest(limits: JointLimits, command_hz: int, q: np.ndarray) -> Guard:
    guard = Guard(limits, command_hz)
    guard.reset(q)
    return guard


@st.composite
def any_target(draw: st.DrawFn, limits: JointLimits) -> np.ndarray:
    n = limits.size
    kind = draw(st.sampled_from(["near", "edge", "wild", "not finite", "wrong shape"]))
    if kind == "near":
        return draw(hnp.arrays(np.float64, n, elements=st.floats(-4, 4)))
    if kind == "edge":
        ulps = draw(st.integers(-2, 2))
        edge = limits.upper if draw(st.booleans()) else limits.lower
        return edge + ulps * np.spacing(np.abs(edge))
    if kind == "wild":
        return draw(hnp.arrays(np.float64, n, elements=st.floats(allow_nan=False, allow_infinity=False)))
    if kind == "not finite":
        target = np.zeros(n)
        target[draw(st.integers(0, n - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        return target
    return np.zeros(draw(st.sampled_from([(), (0,), (n + 1,), (n, 1)])))


@UNHURRIED
@given(st.data(), RATES)
def test_the_limits_hold_whatever_comes(data: st.DataObject, command_hz: int) -> None:
    limits = data.draw(joint_limits())
    guard = at_rest(limits, command_hz, data.draw(hnp.arrays(np.float64, limits.size, elements=st.floats(-9, 9))))
    start, commands = guard.command.copy(), []
    for target in data.draw(st.lists(any_target(limits), min_size=1, max_size=12)):
        for _ in range(data.draw(st.integers(1, 8))):
            usable = target.shape == start.shape and bool(np.isfinite(target).all())
            changed = guard.filter(target)
            commands.append(guard.command.copy())
            if usable:
                assert (guard.command - target == guard.correction).all() or not changed
                assert changed == bool((np.abs(guard.correction) > TOLERANCE).any())
            else:
                assert changed
        if data.draw(st.integers(0, 5)) == 0:
            guard.brake()
            commands.append(guard.command.copy())
    check_limits(np.array(commands), start, limits, command_hz)


@pytest.mark.parametrize("command_hz", [50, 100, 1000])
def test_the_limits_hold_over_long_streams_of_jumps(command_hz: int) -> None:
    limits, random = plain_limits(6), np.random.default_rng(command_hz)
    guard = at_rest(limits, command_hz, np.zeros(6))
    commands = []
    for i in range(4000):
        if i % int(random.integers(1, 60)) == 0:
            target = random.uniform(-2.5, 2.5, 6)
        guard.filter(target + 1e-3 * random.standard_normal(6))
        commands.append(guard.command.copy())
    check_limits(np.array(commands), np.zeros(6), limits, command_hz)


def test_huge_targets_do_no_harm() -> None:
    guard = at_rest(plain_limits(), 100, np.zeros(1))
    for target in (1e308, -1e308, 1e308, 1e200, -1e-300):
        for _ in range(20):
            guard.filter(np.array([target]))
            assert np.isfinite(guard.command).all()


@UNHURRIED
@given(
    st.sampled_from([20, 100, 250, 1000]),
    st.lists(st.floats(-1, 1), min_size=10, max_size=120),
    st.sampled_from([0.5, 0.999999, 1.0]),
)
def test_what_is_within_the_limits_passes_bit_by_bit(command_hz: int, shares: list[float], use: float) -> None:
    """Targets of bounded velocity and acceleration, up to the limits themselves, far from the joint's ends."""
    limits = JointLimits.of(["joint"], [-1e3], [1e3], [3.0], [38.0])
    h, position, velocity = 1.0 / command_hz, 0.3, 0.0
    guard = at_rest(limits, command_hz, np.array([position]))
    for share in shares:
        velocity = float(np.clip(velocity + share * use * 38.0 * h, -3.0 * use, 3.0 * use))
        position += velocity * h
        assert not guard.filter(np.array([position]))
        assert guard.command.tobytes() == np.array([position]).tobytes()
        assert not guard.correction.any()


@pytest.mark.parametrize("command_hz", [50, 250, 1000])
def test_targets_may_go_right_up_to_the_joint_end(command_hz: int) -> None:
    limits = plain_limits()
    guard = at_rest(limits, command_hz, np.zeros(1))
    steps = int(2.5 * command_hz)
    for i in range(1, steps + 1):
        target = np.array([2.0 * 0.5 * (1 - np.cos(np.pi * i / steps))])
        assert not guard.filter(target), i
        assert guard.command.tobytes() == target.tobytes()
    assert guard.command[0] == 2.0


@LONG_STREAMS
@given(RATES, st.floats(-2, 2), st.floats(-2, 2), st.floats(0.2, 8), st.floats(1, 80))
def test_a_static_target_is_reached_without_overshoot(
    command_hz: int, start: float, goal: float, speed: float, push: float
) -> None:
    limits = JointLimits.of(["joint"], [-2.0], [2.0], [speed], [push])
    guard = at_rest(limits, command_hz, np.array([start]))
    target, before = np.array([goal]), start
    way = np.sign(goal - start)
    longest = 4.0 / speed + speed / push + 4 * np.sqrt(4.0 / push) + 0.2
    for _ in range(int(longest * command_hz)):
        guard.filter(target)
        now = guard.command[0]
        assert (now - before) * way >= -1e-12, "it went back"
        assert (now - goal) * way <= 1e-9, "it went too far"
        before = now
        if now == goal and not guard.correction.any():
            break
    assert before == goal


@UNHURRIED
@given(RATES, st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_braking_comes_to_rest_and_does_not_return(command_hz: int, targets: list[float]) -> None:
    limits = plain_limits()
    guard = at_rest(limits, command_hz, np.zeros(1))
    commands = []
    for target in targets:
        guard.filter(np.array([target]))
        commands.append(guard.command.copy())
    way = np.sign(guard.velocity[0])
    for _ in range(int(np.ceil(3.0 / 38.0 * command_hz)) + 2):
        speed, before = abs(guard.velocity[0]), guard.command[0]
        guard.brake()
        commands.append(guard.command.copy())
        assert abs(guard.velocity[0]) <= speed
        assert (guard.command[0] - before) * way >= -1e-12
    assert not guard.velocity.any()
    rest = guard.command.copy()
    guard.brake()
    assert guard.command.tobytes() == rest.tobytes()
    check_limits(np.array(commands), np.zeros(1), limits, command_hz)
    assert not guard.filter(rest)


def test_the_correction_is_exact_and_by_joint() -> None:
    guard = at_rest(plain_limits(3), 100, np.zeros(3))
    assert guard.filter(np.array([1.0, 0.001, 0.0]))
    step = 38.0 / 100**2
    assert np.allclose(guard.command, [step, 0.001, 0.0], atol=1e-15)
    assert (guard.correction == guard.command - [1.0, 0.001, 0.0]).all()
    assert not guard.filter(guard.command.copy())
    assert not guard.correction.any()


def test_what_is_not_finite_or_of_the_wrong_shape_is_replaced_by_the_last_target() -> None:
    guard, same = (at_rest(plain_limits(2), 100, np.zeros(2)) for _ in range(2))
    good = np.array([0.5, -0.5])
    guard.filter(good)
    same.filter(good)
    for bad in (np.array([np.nan, 0]), np.array([0, np.inf]), np.zeros(3), np.zeros((2, 2)), np.zeros(())):
        assert guard.filter(bad)
        same.filter(good)
        assert guard.command.tobytes() == same.command.tobytes()
        assert np.allclose(guard.correction, guard.command - good)
    assert guard.rejected == 5


def test_reset_starts_at_rest_inside_the_limits() -> None:
    guard = at_rest(plain_limits(2), 100, np.zeros(2))
    for _ in range(5):
        guard.filter(np.array([2.0, -2.0]))
    guard.reset(np.array([2.5, -0.3]))
    assert guard.command.tolist() == [2.0, -0.3]
    assert not guard.velocity.any()
    assert not guard.filter(np.array([2.0, -0.3]))


@pytest.mark.parametrize("name", ROBOTS)
def test_the_limits_hold_against_whoever_drives_for_the_ends(name: str) -> None:
    """Full speed towards one end or the other, turning back at the worst moments, with stops in between."""
    command_hz, limits = ROBOTS[name]
    random = np.random.default_rng(1)
    guard = at_rest(limits, command_hz, limits.upper)
    commands, target = [], limits.lower
    for _ in range(4000):
        if random.random() < 0.004 or (random.random() < 0.1 and not guard.correction.any()):
            target = random.choice([limits.lower - 1.0, limits.upper + 1.0, random.uniform(limits.lower, limits.upper)])
        if random.random() < 0.01:
            for _ in range(int(random.integers(1, 30))):
                guard.brake()
                commands.append(guard.command.copy())
        guard.filter(target)
        commands.append(guard.command.copy())
    check_limits(np.array(commands), limits.upper, limits, command_hz)
    assert min(commands)[0] < -0.5, "it never went anywhere"


@pytest.mark.parametrize("seed", range(6))
def test_the_limits_hold_for_joints_of_every_kind(seed: int) -> None:
    """A hundred joints of random limits, among them ranges that are tiny against the way it takes to stop."""
    random, n = np.random.default_rng(seed), 100
    command_hz = (20, 50, 100, 250, 500, 1000)[seed]
    lower, span = random.uniform(-3, 3, n), 10 ** random.uniform(-4, 0.8, n)
    span[:3] = 0.0
    acceleration = 10 ** random.uniform(-0.3, 2, n)
    jerk = acceleration / 10 ** random.uniform(-3, 0, n)
    jerk[3:10] = np.inf
    limits = JointLimits.of(
        [str(i) for i in range(n)], lower, lower + span, 10 ** random.uniform(-1.3, 1, n), acceleration, jerk,
        acceleration * random.uniform(0.05, 1, n),
    )  # fmt: skip
    start = lower + span * random.choice([0.0, 0.3, 1.0], n)
    guard = at_rest(limits, command_hz, start)
    commands, target = [], start
    for step in range(500):
        if step % int(random.integers(1, 50)) == 0:
            target = np.where(random.random(n) < 0.5, lower + span * random.uniform(-0.3, 1.3, n), target)
        away = np.where(guard.velocity > 0, limits.upper + 1, limits.lower - 1)
        guard.filter(np.where(np.arange(n) % 3, target, away))
        commands.append(guard.command.copy())
        if random.random() < 0.02:
            guard.brake()
            commands.append(guard.command.copy())
    check_limits(np.array(commands), start, limits, command_hz)


@LONG_STREAMS
@given(ROBOT, st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=6), st.integers(1, 80))
def test_what_a_guard_sends_passes_another_bit_by_bit(name: str, targets: list[float], each: int) -> None:
    """Whatever the guard's stream is, it is within the limits: a second guard has nothing to change."""
    command_hz, limits = ROBOTS[name]
    first, second = (at_rest(limits, command_hz, np.zeros(1)) for _ in range(2))
    for target in targets:
        for _ in range(each):
            first.filter(np.array([target]))
            assert not second.filter(first.command)
            assert second.command.tobytes() == first.command.tobytes()


@LONG_STREAMS
@given(ROBOT, st.integers(0, 10**6), st.sampled_from([0.3, 0.99, 1.0]))
def test_streams_within_all_limits_pass_bit_by_bit(name: str, seed: int, use: float) -> None:
    """Random jerk up to the limit, taken back before velocity or acceleration are left, in the middle of the range."""
    command_hz, limits = ROBOTS[name]
    limits = replace(limits, lower=np.array([-50.0]), upper=np.array([50.0]))
    random, h = np.random.default_rng(seed), 1.0 / command_hz
    jerk = use * min(limits.jerk[0], limits.acceleration[0] * command_hz)
    most, fastest = use * limits.acceleration[0], 0.3 * use * limits.velocity[0]
    position = velocity = acceleration = 0.0
    guard = at_rest(limits, command_hz, np.zeros(1))
    wanted = 0.0
    for step in range(200):
        if step % 20 == 0:
            wanted = random.uniform(-fastest, fastest)
        room = wanted - velocity - 0.2 * position
        aim = np.sign(room) * min(0.5 * np.sqrt(2 * jerk * abs(room)), 0.5 * abs(room) / h, most)
        acceleration += float(np.clip(aim - acceleration, -jerk * h, jerk * h))
        velocity += acceleration * h
        position += velocity * h
        assert not guard.filter(np.array([position])), step
        assert guard.command.tobytes() == np.array([position]).tobytes()


@LONG_STREAMS
@given(ROBOT, st.floats(-0.95, 0.95), st.lists(st.floats(-1, 1), max_size=4), st.integers(1, 60))
def test_from_any_motion_a_static_target_is_reached_and_kept(
    name: str, goal: float, before: list[float], each: int
) -> None:
    command_hz, limits = ROBOTS[name]
    guard = at_rest(limits, command_hz, np.zeros(1))
    for target in before:
        for _ in range(each):
            guard.filter(np.array([target]))
    speed, target = guard.velocity[0], np.array([goal])
    # It goes beyond the goal by no more than a stop with half of everything takes.
    push, jerk = 0.5 * min(limits.acceleration[0], 2 * limits.braking[0]), 0.5 * limits.jerk[0]
    stop = speed**2 / (2 * push) + abs(speed) * 2.5 * (limits.acceleration[0] / jerk + 2 / command_hz)
    stop += limits.acceleration[0] ** 3 / jerk**2
    farthest, crossings, side = 0.0, 0, 0.0
    for _ in range(int(4 * command_hz)):
        guard.filter(target)
        off = guard.command[0] - goal
        farthest = max(farthest, abs(off) - abs(goal) - 1.0)
        if abs(off) > 1e-12 and np.sign(off) != side:
            crossings, side = crossings + 1, np.sign(off)
        if guard.resting and not guard.correction.any():
            break
    assert guard.command[0] == goal, f"{guard.correction} away"
    assert farthest <= stop
    assert crossings <= 4, "it oscillates"
    for _ in range(5):
        assert not guard.filter(target)
        assert guard.command[0] == goal


@pytest.mark.parametrize("name", ROBOTS)
def test_steps_are_followed_without_overshoot_up_to_the_very_end_of_a_joint(name: str) -> None:
    command_hz, limits = ROBOTS[name]
    goals = np.array([0.5, limits.upper[0], 1e-6, -0.03])
    guard = at_rest(several(limits, len(goals)), command_hz, np.zeros(len(goals)))
    steps = [guard.command.copy()]
    for _ in range(4 * command_hz):
        guard.filter(goals)
        steps.append(guard.command.copy())
        if guard.resting and len(steps) > 2:
            break
    path = np.array(steps)
    assert guard.resting
    assert (path[-1] == goals).all()
    assert (np.diff(path, axis=0) * np.sign(goals) >= -1e-12).all(), "it went back"
    assert ((path - goals) * np.sign(goals) <= 1e-9).all(), "it went too far"


@pytest.mark.parametrize("name", ROBOTS)
def test_a_target_that_became_too_fast_is_caught_up_with_bit_by_bit(name: str) -> None:
    command_hz, limits = ROBOTS[name]
    guard = at_rest(limits, command_hz, np.zeros(1))
    span = limits.upper[0] - limits.lower[0]
    t = np.arange(1, 4 * command_hz) / command_hz
    pace = min(0.5 * limits.velocity[0] / span, np.sqrt(limits.acceleration[0] / span) / (2 * np.pi), 1.0)
    path = 0.2 * span * np.sin(2 * np.pi * pace * t) + np.where((t > 0.2) & (t < 0.7), 0.3, 0.0)
    passed = [not guard.filter(np.array([q])) for q in path]
    assert not all(passed[:command_hz])
    assert all(passed[-command_hz:])
    assert guard.command[0] == path[-1]


@LONG_STREAMS
@given(ROBOT, st.lists(st.tuples(st.floats(-2, 2), st.integers(1, 30), st.integers(0, 3)), min_size=1, max_size=8))
def test_after_missed_steps_and_commands_that_did_not_leave_the_limits_hold(
    name: str, events: list[tuple[float, int, int]]
) -> None:
    """From the velocity on that the guard says is left, the commands that follow respect every limit."""
    command_hz, limits = ROBOTS[name]
    h, guard = 1.0 / command_hz, at_rest(limits, command_hz, np.zeros(1))
    slack = 1e-7 * limits.acceleration
    for target, steps, what in events:
        for _ in range(steps):
            q, velocity, acceleration = guard.command.copy(), guard.velocity.copy(), guard.acceleration.copy()
            guard.filter(np.array([target]))
            now = (guard.command - q) / h
            bend = (now - velocity) / h
            assert (np.abs(now) <= limits.velocity * (1 + 1e-9) + 1e-12).all()
            assert (np.abs(bend) <= limits.acceleration + slack).all()
            assert (np.abs(bend - acceleration) <= limits.jerk * h + slack).all()
            assert (guard.command >= limits.lower).all()
            assert (guard.command <= limits.upper).all()
        q, speed = guard.command.copy(), np.abs(guard.velocity).max()
        if what == 1:
            guard.coast(steps)
            assert guard.command.tobytes() == q.tobytes()
        if what == 2:
            guard.brake()
            guard.withdraw()
            assert guard.command.tobytes() == q.tobytes()
        if what == 3:
            guard.coast(10 * command_hz)
            assert guard.resting
        assert np.isfinite(guard.velocity).all()
        assert speed >= 0


def test_hands_may_rest_at_the_ends_of_their_range() -> None:
    for command_hz, limits in ROBOTS.values():
        for end in (limits.lower, limits.upper):
            guard = at_rest(limits, command_hz, end)
            for _ in range(20):
                assert not guard.filter(end)
                assert guard.resting
                guard.brake()
                assert guard.command.tobytes() == end.tobytes()
