"""Whatever goes into the guard, what comes out is within the limits; what is within them comes out as it went in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.runtime.command_checker import check_limits
from unichunk.runtime.guard import TOLERANCE, Guard
from unichunk.runtime.limits import JointLimits

RATES = st.sampled_from([50, 100, 250, 1000])
UNHURRIED = settings(deadline=None, max_examples=150)


@st.composite
def joint_limits(draw: st.DrawFn, most: int = 4) -> JointLimits:
    n = draw(st.integers(1, most))
    lower = [draw(st.floats(-3, 3)) for _ in range(n)]
    # A joint may be locked: an empty range.
    upper = [low + draw(st.one_of(st.just(0.0), st.floats(0.01, 5))) for low in lower]
    velocity = [draw(st.floats(0.05, 10)) for _ in range(n)]
    acceleration = [draw(st.floats(0.5, 100)) for _ in range(n)]
    return JointLimits.of([f"joint{i}" for i in range(n)], lower, upper, velocity, acceleration)


def plain_limits(n: int = 1) -> JointLimits:
    return JointLimits.of([f"joint{i}" for i in range(n)], [-2.0] * n, [2.0] * n, [3.0] * n, [38.0] * n)


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


@UNHURRIED
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
