"""What goes wrong while a trial runs: losses, clocks, disks, restarts. Robots hold first, and records follow."""

from __future__ import annotations

import asyncio
import resource
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.evaluation.desk_bench import ADA, ANN, BOB, Bench
from tests.evaluation.small_campaign import small
from tests.one_line import refused
from unichunk.server.evaluation.errors import NotNow, StoreUnavailable
from unichunk.server.evaluation.ledger import commands as c

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench.make(tmp_path / "campaign")
    yield bench
    bench.close()


def test_a_trial_ends_when_its_time_is_up_whatever_the_wall_clock_says(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        bench.clocks.wait(59.0)
        bench.clocks.wall_s += 7200.0
        await bench.desk.look()
        assert bench.trial(trial).state.value == "running"
        bench.clocks.wait(1.5)
        bench.clocks.wall_s -= 86400.0
        await bench.desk.look()
        ended = bench.trial(trial)
        assert (ended.state.value, ended.duration_s) == ("awaiting score", 60.5)
        assert bench.robots.told[-1] == ("hold", "r1")
        jumps = [command.by_s for command in bench.commands() if isinstance(command, c.ClockJumped)]
        assert jumps == [7200.0, -86400.0]
        # The operator's stop came too late, and changes nothing.
        assert (await bench.desk.stop_trial(ANN, trial, "late")).state == "awaiting score"
        assert bench.commands()[-1] != c.End(trial=trial, cause="operator", duration_s=60.5)

    asyncio.run(run())


def test_a_lease_is_given_back_after_its_time_and_not_by_the_wall_clock(bench: Bench) -> None:
    async def run() -> None:
        first = await bench.desk.lease(ANN, "r1", "1")
        bench.clocks.wall_s += 1e6
        await bench.desk.look()
        assert bench.trial(first.trial).state.value == "leased"
        bench.clocks.wait(899.0)
        other = await bench.desk.lease(BOB, "r2", "2")
        await bench.desk.arm(BOB, other.trial, "3")
        bench.clocks.wait(1.0)
        await bench.desk.look()
        assert bench.trial(first.trial).state.value == "planned"
        assert bench.trial(other.trial).state.value == "armed"
        await bench.desk.start_trial(BOB, other.trial, "4")
        bench.clocks.wait(10.0)
        await bench.desk.look()
        assert bench.trial(other.trial).state.value == "running"

    asyncio.run(run())


@pytest.mark.parametrize("rule", ["void", "failure"])
def test_a_policy_that_dies(tmp_path: Path, rule: str) -> None:
    bench = Bench.make(tmp_path / "campaign", small(policy_death=rule))

    async def run() -> None:
        trial = (await bench.running()).trial
        bench.clocks.wait(3.0)
        bench.robots.on_event("r1", trial, "policy lost")
        assert bench.robots.told[-1] == ("hold", "r1")
        await bench.desk.close()
        known = bench.trial(trial)
        if rule == "failure":
            assert (known.state.value, known.duration_s) == ("scored", 3.0)
            assert known.score is not None
            assert not known.score.success
            assert (await bench.desk.trial(ANN, trial)).reason == "stopped by the server"
            return
        assert (known.state.value, known.reason, known.duration_s) == ("interrupted", "policy lost", 3.0)
        # Its operator is not told what died.
        mine = (await bench.desk.overview(ANN)).mine
        assert mine is not None
        assert mine.reason == "stopped by the server"
        with refused(NotNow, "interrupted"):
            await bench.desk.score(ANN, trial, True, (True,) * len(mine.rubric), "", "s")
        assert (await bench.desk.void(ANN, trial, "it stopped", "v")).state == "void"

    asyncio.run(run())
    bench.close()


def test_a_robot_that_is_lost_and_a_task_that_is_done(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        other = (await bench.running(BOB, "r2")).trial
        bench.clocks.wait(2.0)
        bench.robots.on_event("r1", trial, "robot lost")
        bench.robots.on_event("r2", other, "task done")
        # What is heard again, or of a trial before, says nothing new.
        bench.robots.on_event("r1", trial, "robot lost")
        bench.robots.on_event("r2", trial, "policy lost")
        await bench.desk.close()
        assert (bench.trial(trial).state.value, bench.trial(trial).reason) == ("interrupted", "robot lost")
        assert (bench.trial(other).state.value, bench.trial(other).duration_s) == ("awaiting score", 2.0)
        assert bench.commands()[-1] == c.End(trial=other, cause="task done", duration_s=2.0)

    asyncio.run(run())


def test_a_robot_that_is_lost_on_the_way_to_its_start_pose(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.desk.lease(ANN, "r1", "1")).trial
        await bench.desk.arm(ANN, trial, "2")
        bench.robots.on_event("r1", "", "robot lost")
        await bench.desk.close()
        assert bench.trial(trial).reason == "robot lost"

    asyncio.run(run())


def test_anybody_beside_a_robot_may_stop_it(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        await bench.desk.emergency_stop(BOB, "r1", "e")
        assert bench.robots.told[-1] == ("hold", "r1")
        assert bench.trial(trial).reason == "emergency stop"
        assert bench.commands()[-1] == c.Note(trial=trial, text="emergency stop")
        await bench.desk.emergency_stop(BOB, "r1", "e")
        await bench.desk.emergency_stop(ADA, "r2", "f")
        assert bench.robots.told[-1] == ("hold", "r2")

    asyncio.run(run())


def test_an_administrators_stop_is_recorded_with_the_name(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        await bench.desk.emergency_stop(ADA, "r1", "e")
        assert bench.trial(trial).reason == "emergency stop"
        last = bench.store._store.events()[-1].entry
        assert (last.actor, last.command) == (ADA.name, c.Note(trial=trial, text="emergency stop"))

    asyncio.run(run())


async def emergency(bench: Bench, _: str) -> None:
    await bench.desk.emergency_stop(BOB, "r1", "e")


async def stop(bench: Bench, trial: str) -> None:
    await bench.desk.stop_trial(ANN, trial, "e")


async def void(bench: Bench, trial: str) -> None:
    await bench.desk.void(ANN, trial, "not like that", "e")


@pytest.mark.parametrize(("how", "state"), [(emergency, "interrupted"), (stop, "awaiting score"), (void, "void")])
def test_a_stop_wins_over_a_start_that_is_being_recorded(
    bench: Bench, how: Callable[[Bench, str], Coroutine[Any, Any, None]], state: str
) -> None:
    async def run() -> None:
        trial = (await bench.desk.lease(ANN, "r1", "1")).trial
        await bench.desk.arm(ANN, trial, "2")
        loop = asyncio.get_running_loop()
        held = threading.Event()
        stops: list[asyncio.Task[None]] = []

        def stop() -> None:
            stops.append(loop.create_task(how(bench, trial)))
            loop.call_soon(held.set)

        def while_it_is_recorded(command: c.Command) -> None:
            if isinstance(command, c.Start):
                loop.call_soon_threadsafe(stop)
                assert held.wait(10.0)

        bench.store.after = while_it_is_recorded
        await bench.desk.start_trial(ANN, trial, "3")
        await asyncio.gather(*stops)
        assert "run" not in [what for what, *_ in bench.robots.told]
        assert bench.robots.told[-1] == ("hold", "r1")
        assert bench.trial(trial).state.value == state

    asyncio.run(run())


def test_a_stop_before_a_start_is_recorded_refuses_it(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.desk.lease(ANN, "r1", "1")).trial
        await bench.desk.arm(ANN, trial, "2")
        starting = asyncio.ensure_future(bench.desk.start_trial(ANN, trial, "3"))
        await asyncio.sleep(0)
        await bench.desk.emergency_stop(BOB, "r1", "e")
        with refused(NotNow, "interrupted: expected armed"):
            await starting
        assert "run" not in [what for what, *_ in bench.robots.told]

    asyncio.run(run())


def test_a_request_that_is_given_up_is_done_whole(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.desk.lease(ANN, "r1", "1")).trial
        await bench.desk.arm(ANN, trial, "2")
        starting = asyncio.ensure_future(bench.desk.start_trial(ANN, trial, "3"))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await bench.desk.start_trial(ANN, trial, "3")
        assert [what for what, *_ in bench.robots.told].count("run") == 1
        assert (await bench.desk.trial(ANN, trial)).state == "running"

    asyncio.run(run())


def test_a_full_disk_moves_nothing_and_stops_everything(bench: Bench) -> None:
    async def run() -> None:
        running = (await bench.running(BOB, "r2")).trial
        trial = (await bench.desk.lease(ANN, "r1", "1")).trial
        await bench.desk.arm(ANN, trial, "2")
        bench.clocks.wait(4.0)
        bench.store.full = True
        with refused(StoreUnavailable, "disk full"):
            await bench.desk.start_trial(ANN, trial, "3")
        told = [entry for entry in bench.robots.told if entry[1] == "r1"]
        assert told == [("arm", "r1")]
        assert bench.robots.told[-1] == ("hold", "r2")
        overview = await bench.desk.overview(ANN)
        assert not overview.recording
        assert "disk full" in overview.trouble
        await bench.desk.look()
        bench.store.full = False
        # The same again with the same key, and it works.
        assert (await bench.desk.start_trial(ANN, trial, "3")).state == "running"
        assert (await bench.desk.overview(ANN)).recording
        lost = bench.trial(running)
        assert (lost.state.value, lost.reason, lost.duration_s) == ("interrupted", "server ended", 4.0)

    asyncio.run(run())


@contextmanager
def no_room(folder: Path) -> Iterator[None]:
    """No file of the campaign can grow, as on a full disk."""
    size = max(path.stat().st_size for path in folder.iterdir() if path.is_file())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_database_that_cannot_grow(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        bench.clocks.wait(4.0)
        refusals = 0
        with no_room(bench.folder):
            # What room there is is used up first.
            for number in range(200):
                try:
                    await bench.desk.note(ANN, trial, "x" * 2000, f"note-{number}")
                except StoreUnavailable:
                    refusals += 1
                    break
            assert refusals == 1
            assert bench.robots.told[-1] == ("hold", "r1")
            assert not (await bench.desk.overview(ANN)).recording
        await bench.desk.look()
        assert (bench.trial(trial).reason, bench.trial(trial).duration_s) == ("server ended", 4.0)
        assert (await bench.desk.overview(ANN)).recording
        await bench.desk.void(ANN, trial, "disk was full", "v")
        bench.close()
        # What was recorded before, meanwhile and since can be read again.
        bench.open()
        assert bench.trial(trial).state.value == "void"

    asyncio.run(run())


def test_a_stop_on_a_full_disk_holds_at_once_and_is_recorded_later_as_it_was(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        bench.clocks.wait(4.0)
        bench.store.full = True
        with refused(StoreUnavailable, "disk full"):
            await bench.desk.stop_trial(ANN, trial, "stop")
        assert bench.robots.told[-1] == ("hold", "r1")
        bench.clocks.wait(100.0)
        with refused(StoreUnavailable, "disk full"):
            await bench.desk.stop_trial(ANN, trial, "stop")
        await bench.desk.look()
        bench.store.full = False
        await bench.desk.look()
        known = bench.trial(trial)
        assert (known.state.value, known.duration_s) == ("awaiting score", 4.0)
        assert (await bench.desk.stop_trial(ANN, trial, "stop")).elapsed_s == 4.0
        assert sum(isinstance(command, c.End) for command in bench.commands()) == 1

    asyncio.run(run())


def test_a_void_on_a_full_disk_stays_a_void(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        bench.store.full = True
        with refused(StoreUnavailable):
            await bench.desk.void(ANN, trial, "fell over", "v")
        assert bench.robots.told[-1] == ("hold", "r1")
        bench.store.full = False
        assert (await bench.desk.void(ANN, trial, "fell over", "v")).state == "void"
        assert sum(isinstance(command, c.Void) for command in bench.commands()) == 1

    asyncio.run(run())


def test_a_key_that_was_used_does_not_leave_a_trial_running_for_ever(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        with refused(NotNow, "fresh key"):
            await bench.desk.stop_trial(ANN, trial, "ann/lease")
        assert bench.robots.told[-1] == ("hold", "r1")
        await bench.desk.look()
        assert (bench.trial(trial).state.value, bench.trial(trial).reason) == ("interrupted", "server ended")

    asyncio.run(run())


def test_a_policy_that_cannot_be_run(bench: Bench) -> None:
    async def run() -> None:
        bench.robots.refuses = True
        assert (await bench.running()).state == "interrupted"
        assert bench.robots.told[-1] == ("hold", "r1")

    asyncio.run(run())


def test_after_a_restart_what_ran_is_interrupted_and_leases_go_on(bench: Bench) -> None:
    async def run() -> None:
        running = (await bench.running()).trial
        taken = (await bench.desk.lease(BOB, "r2", "2")).trial
        bench.clocks.wait(600.0)
        bench.close()
        bench.robots.told.clear()
        # Nobody closed the desk: as after kill -9.
        bench.clocks.wall_s += 50.0
        bench.open()
        await bench.desk.start()
        assert bench.robots.told == [("hold", "r1")]
        assert (bench.trial(running).state.value, bench.trial(running).reason) == ("interrupted", "server ended")
        view = await bench.desk.trial(BOB, taken)
        assert (view.state, view.lease_left_s) == ("leased", 300.0)
        assert c.ClockJumped(by_s=50.0) in bench.commands()
        bench.clocks.wait(300.0)
        await bench.desk.look()
        assert bench.trial(taken).state.value == "planned"
        await bench.desk.void(ANN, running, "power failed", "v")
        for number in range(4):
            await bench.judged(tag=f"-{number}")
        assert (await bench.desk.overview(ANN)).complete
        await bench.desk.close()

    asyncio.run(run())


def test_a_server_that_ends_holds_its_robots_and_says_so(bench: Bench) -> None:
    async def run() -> None:
        running = (await bench.running()).trial
        armed = (await bench.desk.lease(BOB, "r2", "1")).trial
        await bench.desk.arm(BOB, armed, "2")
        await bench.desk.start()
        # The start found an armed and a running trial of a server before it.
        assert bench.trial(armed).state.value == "interrupted"
        await bench.desk.close()
        assert bench.trial(running).reason == "server ended"
        assert {robot for what, robot, *_ in bench.robots.told if what == "hold"} == {"r1", "r2"}

    asyncio.run(run())


def test_a_disk_that_is_full_at_the_end_is_said_and_the_next_start_interrupts(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        bench.store.full = True
        await bench.desk.close()
        assert bench.robots.told[-1] == ("hold", "r1") or ("hold", "r1") in bench.robots.told
        assert bench.trial(trial).state.value == "running"
        bench.close()
        bench.open()
        await bench.desk.start()
        await bench.desk.close()
        assert bench.trial(trial).reason == "server ended"

    asyncio.run(run())


def test_the_watch_ends_trials_by_itself(tmp_path: Path) -> None:
    bench = Bench.make(tmp_path / "campaign")

    async def run() -> None:
        await bench.desk.start()
        trial = (await bench.running()).trial
        bench.clocks.wait(60.0)
        for _ in range(400):
            await asyncio.sleep(0.01)
            if bench.trial(trial).state.value == "awaiting score":
                break
        assert bench.trial(trial).state.value == "awaiting score"
        await bench.desk.close()

    asyncio.run(run())
    bench.close()
