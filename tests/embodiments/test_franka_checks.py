"""The FR3's limits as this project has them keep what the robot's controller checks; and the checker finds faults."""

from __future__ import annotations

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.franka_checks import (
    POSITION_LOWER,
    POSITION_UPPER,
    check_stream,
    velocity_limits,
)
from unichunk.runtime.guard import Guard
from unichunk.runtime.guard_laws import StoppingLaw
from unichunk.runtime.limits import JointLimits

HZ = 1000
H = 1.0 / HZ


def fr3_limits() -> JointLimits:
    """The arm's part of the spec."""
    joints = load_spec("fr3_inspire").groups["right_arm"].joints
    limits = load_spec("fr3_inspire").limits
    index = [limits.names.index(joint.name) for joint in joints]
    fields = (limits.lower, limits.upper, limits.velocity, limits.acceleration, limits.jerk, limits.braking)
    return JointLimits.of([limits.names[i] for i in index], *(field[index] for field in fields))


LIMITS = fr3_limits()
MIDDLE = 0.5 * (LIMITS.lower + LIMITS.upper)


def complaints(q: np.ndarray, start: np.ndarray) -> list[str]:
    return [check.text for check in check_stream(q, start) if not check.passed]


def test_the_position_limits_are_inside_the_datasheets() -> None:
    assert (LIMITS.lower >= POSITION_LOWER).all()
    assert (LIMITS.upper <= POSITION_UPPER).all()


def test_the_guards_envelope_lies_under_the_published_velocity_curve() -> None:
    """The fastest the guard may go at each distance from an end, on a fine grid, both here and where it leads."""
    law = StoppingLaw(LIMITS.braking * H, H)
    span = LIMITS.upper - LIMITS.lower
    grid = np.concatenate([np.linspace(0, 1e-3, 2001), np.linspace(1e-3, 1, 4001)[1:]])
    least = np.inf
    for share in grid:
        room = share * span
        speed = np.minimum(law(room, np.zeros(7)), LIMITS.velocity)
        for ahead in (0.0, H):
            _, upper = velocity_limits(LIMITS.upper - room + ahead * speed)
            lower, _ = velocity_limits(LIMITS.lower + room - ahead * speed)
            least = min(least, (upper - speed).min(), (-lower - speed).min())
    assert least > 4e-4


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_into_the_guard_passes_all_checks(seed: int) -> None:
    random = np.random.default_rng(seed)
    guard = Guard(LIMITS, HZ)
    start = random.uniform(LIMITS.lower, LIMITS.upper)
    guard.reset(start)
    stream, target = [], start
    for step in range(6000):
        if step % int(random.integers(1, 900)) == 0:
            target = random.choice([LIMITS.lower - 1, LIMITS.upper + 1, random.uniform(LIMITS.lower, LIMITS.upper)])
        if random.random() < 1e-3:
            for _ in range(int(random.integers(1, 400))):
                guard.brake()
                stream.append(guard.command.copy())
        guard.filter(target + (step % 2000 > 1000) * 1e-2 * random.standard_normal(7))
        stream.append(guard.command.copy())
    checks = check_stream(np.array(stream), np.clip(start, LIMITS.lower, LIMITS.upper))[1:]
    assert [check.text for check in checks if not check.passed] == []
    assert {check.name: check.worst > 0.9 for check in checks if check.name in ("velocity", "jerk")} == {
        "velocity": True,
        "jerk": True,
    }


def still(samples: int = 50) -> np.ndarray:
    return np.tile(MIDDLE, (samples, 1))


def test_standing_still_passes_and_every_check_says_so_in_one_line() -> None:
    checks = check_stream(still(), MIDDLE)
    assert [check.name for check in checks] == [
        "start pose", "finite", "position", "velocity", "acceleration", "jerk",
    ]  # fmt: skip
    assert all(check.passed and check.text.startswith(check.name) and "\n" not in check.text for check in checks)


def fails(q: np.ndarray, start: np.ndarray | None = MIDDLE) -> dict[str, tuple[int | None, int | None]]:
    return {check.name: (check.sample, check.joint) for check in check_stream(q, start) if not check.passed}


def test_faults_are_found_where_they_are() -> None:
    q = still()
    q[20:, 3] += 6e-6
    assert fails(q) == {"jerk": (20, 4)}
    q = still()
    q[20, 6] = np.nan
    assert fails(q) == {"finite": (20, 7)}
    assert "start pose" in fails(still(), MIDDLE + 1e-6)
    beyond = np.tile(POSITION_UPPER, (5, 1))
    beyond[:, 1] += 1e-3
    assert fails(beyond, beyond[0]) == {"position": (0, 2)}
    assert fails(beyond, None) == {"position": (0, 2)}


def test_each_derivative_has_its_limit() -> None:
    t = np.arange(1, 401)[:, None] * H
    # A cosine's acceleration: soft in jerk, 1 % beyond the limit of acceleration at its peak.
    accelerated = MIDDLE + 10.1 * (1 - np.cos(20 * t) - (20 * t) ** 2 / 2) / -400 * np.array([1, 0, 0, 0, 0, 0, 0])
    assert set(fails(accelerated[:200])) == {"acceleration"}
    ramp = np.interp(np.arange(650), [0, 599], [0, 2.7])
    fast = MIDDLE + np.cumsum(ramp)[:, None] * H * np.array([0, 1, 0, 0, 0, 0, 0]) - [0, 1, 0, 0, 0, 0, 0]
    assert set(fails(fast, MIDDLE - [0, 1, 0, 0, 0, 0, 0])) == {"velocity"}


def test_a_velocity_that_is_fine_in_the_middle_is_too_fast_near_the_end() -> None:
    lower, upper = velocity_limits(np.array([MIDDLE, np.array(POSITION_UPPER)]))
    assert upper[0].tolist() == pytest.approx([2.619, 2.619, 2.619, 2.619, 5.259, 4.179, 5.259])
    assert (upper[1] < 0.06).all()
    assert (lower < 0).all()


@pytest.mark.parametrize("shape", [(0, 7), (5, 6), (7,)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected shapes \(N, 7\) and \(7,\)"):
        check_stream(np.zeros(shape), np.zeros(7))
