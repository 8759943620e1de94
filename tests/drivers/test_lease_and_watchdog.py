"""Who holds the robot, and when it must rest: in virtual time."""

from __future__ import annotations

from unichunk.embodiments.drivers.lease import Grant, Lease
from unichunk.embodiments.drivers.watchdog import Watchdog

SECOND = 1_000_000_000


def test_a_live_holder_keeps_others_out_and_a_silent_one_does_not() -> None:
    lease = Lease(SECOND)
    assert lease.claim("a", 0)
    assert not lease.claim("b", SECOND)
    lease.heard("b", SECOND)
    lease.heard("a", SECOND)
    assert not lease.claim("b", 2 * SECOND)
    assert lease.claim("b", 2 * SECOND + 1)
    assert lease.holder == "b"
    lease.release("a")
    assert lease.holder == "b"
    lease.release("b")
    assert lease.holder == ""
    assert lease.claim("a", 2 * SECOND + 2)


def test_a_session_that_says_hello_again_keeps_its_grant() -> None:
    lease = Lease(SECOND)
    lease.claim("a", 0)
    grant = lease.grant
    lease.suspend(grant)
    assert not lease.claim("b", 1)
    assert lease.suspended
    assert lease.claim("a", 5 * SECOND)
    assert not lease.suspended
    assert lease.grant is grant


def test_who_was_told_to_stop_does_not_get_it_again() -> None:
    """Not at once, not after giving it back, and not after another session had it."""
    lease = Lease(SECOND)
    assert lease.claim("a", 0)
    lease.stop()
    assert lease.was_stopped("a")
    assert not lease.claim("a", 1)
    lease.release("a")
    # Again, when nobody holds it: that does not make the first time forgotten.
    lease.stop()
    assert not lease.claim("a", 2)
    assert lease.stopped
    assert lease.suspended
    assert not lease.was_stopped("b")
    assert lease.claim("b", 3)
    assert not lease.stopped
    assert not lease.suspended
    lease.release("b")
    assert not lease.claim("a", 4)
    assert lease.holder == ""
    assert lease.claim("b", 5)


def test_a_stop_while_nobody_holds_it_keeps_nobody_out() -> None:
    lease = Lease(SECOND)
    lease.stop()
    assert lease.suspended
    assert not lease.was_stopped("")
    assert lease.claim("a", 0)
    assert not lease.suspended


def look(
    watchdog: Watchdog, grant: Grant | None, now: int, *, commanded: bool = False, suspended: bool = False
) -> bool:
    return watchdog.look(grant, now, commanded=commanded, suspended=suspended)


def test_rest_is_said_once_when_commands_stop_and_ends_with_the_next_command() -> None:
    watchdog, grant = Watchdog(10), Grant("a", 0)
    assert not look(watchdog, grant, 0)
    assert not look(watchdog, grant, 100)
    assert not look(watchdog, grant, 101, commanded=True)
    assert not look(watchdog, grant, 111)
    assert look(watchdog, grant, 112)
    assert watchdog.tripped(grant)
    assert not look(watchdog, grant, 113)
    assert not look(watchdog, grant, 114, commanded=True)
    assert not watchdog.tripped(grant)
    assert watchdog.trips == 1


def test_goodbye_and_a_new_holder_rest_without_a_trip() -> None:
    watchdog, first, second = Watchdog(10), Grant("a", 0), Grant("b", 5)
    look(watchdog, first, 0, commanded=True)
    assert look(watchdog, None, 1)
    assert not watchdog.tripped(None)
    look(watchdog, first, 2, commanded=True)
    assert look(watchdog, second, 3)
    assert not watchdog.tripped(second)
    assert not watchdog.tripped(first)
    assert watchdog.trips == 0


def test_a_new_holder_does_not_inherit_a_trip() -> None:
    watchdog, first, second = Watchdog(10), Grant("a", 0), Grant("b", 50)
    look(watchdog, first, 0, commanded=True)
    assert look(watchdog, first, 11)
    assert not look(watchdog, second, 50)
    assert not watchdog.tripped(second)


def test_stop_rests_at_once_and_is_no_trip_of_the_watchdog() -> None:
    watchdog, grant = Watchdog(10), Grant("a", 0)
    look(watchdog, grant, 0, commanded=True)
    assert look(watchdog, grant, 1, suspended=True)
    assert watchdog.tripped(grant)
    assert watchdog.trips == 0


def test_a_rest_of_the_old_holder_does_not_suspend_the_new_one() -> None:
    lease = Lease(SECOND)
    lease.claim("a", 0)
    old = lease.grant
    lease.claim("b", 3 * SECOND)
    lease.suspend(old)
    assert not lease.suspended
    lease.suspend(lease.grant)
    assert lease.suspended
    lease.release("b")
    assert not lease.suspended


def test_the_first_command_of_a_new_holder_rests_the_robot_and_the_next_one_counts() -> None:
    watchdog, first, second = Watchdog(10), Grant("a", 0), Grant("b", 5)
    look(watchdog, first, 0, commanded=True)
    assert look(watchdog, second, 1, commanded=True)
    assert not look(watchdog, second, 2, commanded=True)
    assert not look(watchdog, second, 12)
    assert look(watchdog, second, 13)
    assert watchdog.tripped(second)
    assert watchdog.trips == 1


def test_a_stop_counts_at_once_whatever_arrives() -> None:
    watchdog, grant = Watchdog(10), Grant("a", 0)
    look(watchdog, grant, 0, commanded=True)
    assert look(watchdog, grant, 1, commanded=True, suspended=True)
    assert watchdog.tripped(grant)
    assert watchdog.trips == 0


def test_a_stream_that_broke_off_is_a_trip_only_for_who_follows_it() -> None:
    watchdog, grant = Watchdog(10), Grant("a", 0)
    assert not watchdog.look(grant, 0, commanded=True, suspended=False, broken=True)
    assert watchdog.look(grant, 1, commanded=True, suspended=False, broken=True)
    assert watchdog.tripped(grant)
    assert watchdog.trips == 1
