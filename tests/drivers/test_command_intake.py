"""Which commands are followed, whatever arrives: without sockets, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.embodiments.drivers.command_intake import CommandIntake
from unichunk.embodiments.drivers.counters import Counters
from unichunk.embodiments.drivers.lease import Lease
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import Command
from unichunk.runtime.limits import JointLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 10_000_000_000
PATIENCE = 250_000_000
LIMITS = JointLimits.of(["a", "b"], [-1, -2], [1, 2], [1, 1], [1, 1])


def command(sequence: int, q: object = (0.5, 0.5), session: str = "us", stamp_ns: int = NOW) -> bytes:
    vector = np.asarray(q, dtype=np.float64)
    return encode(Command(session=session, sequence=sequence, tick=0, stamp_ns=stamp_ns, q=vector))


@pytest.fixture
def lease() -> Lease:
    lease = Lease(1_000_000_000)
    lease.claim("us", NOW)
    return lease


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def intake(lease: Lease, counters: Counters) -> CommandIntake:
    return CommandIntake(LIMITS, lease, PATIENCE, counters)


def test_valid_commands_are_taken_and_junk_displaces_none(intake: CommandIntake, counters: Counters) -> None:
    arrived = [command(1), command(2, (0.1, 0.2)), b"junk", command(9, session="them"), command(3, (np.nan, 0))]
    assert [q.tolist() for q in intake.take(arrived, NOW)] == [[0.5, 0.5], [0.1, 0.2]]
    assert (counters.accepted, counters.malformed, counters.foreign, counters.non_finite) == (2, 1, 1, 1)
    assert intake.last_sequence == 2


def test_nothing_arrived_nothing_followed(intake: CommandIntake) -> None:
    assert intake.take([], NOW) == []


def test_sequence_numbers_only_grow_within_one_grant(intake: CommandIntake, lease: Lease, counters: Counters) -> None:
    assert len(intake.take([command(5)], NOW)) == 1
    assert intake.take([command(5), command(4)], NOW) == []
    assert counters.stale == 2
    lease.claim("us", NOW)
    assert intake.take([command(5)], NOW) == []
    lease.release("us")
    lease.claim("them", NOW)
    assert len(intake.take([command(1, session="them")], NOW)) == 1


@pytest.mark.parametrize(("age_ns", "followed"), [(PATIENCE, True), (PATIENCE + 1, False), (-PATIENCE - 1, False)])
def test_commands_held_up_on_the_way_are_not_followed(intake: CommandIntake, age_ns: int, *, followed: bool) -> None:
    assert len(intake.take([command(1, stamp_ns=NOW - age_ns)], NOW)) == followed


def test_followed_commands_keep_the_lease_and_others_do_not(intake: CommandIntake, lease: Lease) -> None:
    intake.take([command(1, stamp_ns=NOW + 7)], NOW + 7)
    assert lease.silence_ns(NOW + 9) == 2
    intake.take([command(1, stamp_ns=NOW + 8)], NOW + 8)
    assert lease.silence_ns(NOW + 9) == 2


@given(st.lists(st.floats(width=64), max_size=4), st.integers(0, 3), st.sampled_from(["us", "them", ""]))
def test_what_is_followed_is_always_finite_and_within_the_limits(q: list[float], sequence: int, session: str) -> None:
    counters, lease = Counters(), Lease(0)
    lease.claim("us", NOW)
    intake = CommandIntake(LIMITS, lease, PATIENCE, counters)
    followed = intake.take([command(sequence, q, session)], NOW)
    good = session == "us" and len(q) == 2 and bool(np.isfinite(q).all())
    assert len(followed) == good
    assert sum(counters.as_dict().values()) - counters.clamped == 1
    for one in followed:
        assert (one >= LIMITS.lower).all()
        assert (one <= LIMITS.upper).all()
        assert counters.clamped == (not np.array_equal(one, q))


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_bytes_are_no_commands(arrived: list[bytes]) -> None:
    counters, lease = Counters(), Lease(0)
    lease.claim("us", NOW)
    assert CommandIntake(LIMITS, lease, PATIENCE, counters).take(arrived, NOW) == []
    assert counters.malformed == len(arrived)


def test_who_was_stopped_is_not_followed_in_the_moment_another_session_takes_over(
    intake: CommandIntake, lease: Lease, counters: Counters
) -> None:
    lease.stop()
    assert intake.take([command(1)], NOW) == []

    def taken_over() -> Iterator[bytes]:
        lease.release("us")
        lease.claim("them", NOW)
        yield command(2)

    assert intake.take(taken_over(), NOW) == []
    assert (counters.suspended, counters.foreign, counters.accepted) == (1, 1, 0)
