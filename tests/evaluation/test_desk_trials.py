"""A trial from its lease to its score, on a real store: what moves when, and what is recorded first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.evaluation.desk_bench import ADA, ANN, ARM, AUD, BOB, RAY, Bench
from tests.evaluation.small_campaign import small
from tests.one_line import refused
from unichunk.server.evaluation.errors import EvaluationError, NotAllowed, NotFound, NotNow
from unichunk.server.evaluation.ledger import commands as c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench.make(tmp_path / "campaign")
    yield bench
    bench.close()


def test_a_trial_from_lease_to_score(bench: Bench) -> None:
    async def run() -> None:
        following = await bench.desk.next_trial(ANN)
        assert following is not None
        assert (following.state, following.number, following.total) == ("planned", 1, 4)
        view = await bench.desk.lease(ANN, "r1", "1")
        assert (view.trial, view.state, view.operator, view.robot) == (following.trial, "leased", "ann", "r1")
        assert view.lease_left_s == 900.0
        assert bench.robots.told == []
        view = await bench.desk.arm(ANN, view.trial, "2")
        assert (view.state, bench.robots.told) == ("armed", [("arm", "r1")])
        view = await bench.desk.start_trial(ANN, view.trial, "3")
        assert (view.state, view.lease_left_s) == ("running", None)
        assert bench.robots.told[1:] == [("run", "r1", view.trial, bench.policy(view.trial), view.instruction)]
        bench.clocks.wait(2.5)
        assert (await bench.desk.trial(ANN, view.trial)).elapsed_s == 2.5
        view = await bench.desk.stop_trial(ANN, view.trial, "4")
        assert (view.state, view.elapsed_s, bench.robots.told[2:]) == ("awaiting score", 2.5, [("hold", "r1")])
        view = await bench.desk.score(ANN, view.trial, True, (True,) * len(view.rubric), "fine", "5")
        assert view.state == "scored"
        overview = await bench.desk.overview(ANN)
        assert (overview.scored, overview.total, overview.mine, overview.complete) == (1, 4, None, False)
        assert sum(one.scored for one in overview.layouts) == sum(one.scored for one in overview.tasks) == 1

    asyncio.run(run())


def test_every_call_may_come_twice(bench: Bench) -> None:
    async def run() -> None:
        first = await bench.desk.lease(ANN, "r1", "1")
        assert await bench.desk.lease(ANN, "r1", "1") == first
        for _ in range(2):
            await bench.desk.arm(ANN, first.trial, "2")
        for _ in range(2):
            await bench.desk.start_trial(ANN, first.trial, "3")
        for _ in range(2):
            stopped = await bench.desk.stop_trial(ANN, first.trial, "4")
        answers = (True,) * len(stopped.rubric)
        for _ in range(2):
            await bench.desk.score(ANN, first.trial, True, answers, "", "5")
        assert len(bench.commands()) == 5
        assert [what for what, *_ in bench.robots.told] == ["arm", "run", "hold"]
        # Late by a whole trial, the first call of all still does nothing new.
        assert (await bench.desk.lease(ANN, "r1", "1")).trial == first.trial
        with refused(NotNow, "fresh key"):
            await bench.desk.score(ANN, first.trial, False, answers, "", "5")

    asyncio.run(run())


def test_two_operators_take_two_trials_and_keep_off_each_other(bench: Bench) -> None:
    async def run() -> None:
        one, other = await asyncio.gather(bench.desk.lease(ANN, "r1", "a"), bench.desk.lease(BOB, "r2", "b"))
        assert {one.number, other.number} == {1, 2}
        for call in (
            bench.desk.arm(BOB, one.trial, "3"),
            bench.desk.release(BOB, one.trial, "4"),
            bench.desk.void(BOB, one.trial, "because I can", "5"),
            bench.desk.stop_trial(BOB, one.trial, "6"),
            bench.desk.score(BOB, one.trial, True, (), "", "7"),
        ):
            with refused(NotAllowed, "ann has it"):
                await call
        with refused(NotNow, "robot r1 is set up for trial"):
            await bench.desk.release(BOB, other.trial, "8")
            await bench.desk.lease(BOB, "r1", "9")

    asyncio.run(run())


def test_a_score_for_a_trial_that_does_not_run_or_is_none(bench: Bench) -> None:
    async def run() -> None:
        leased = await bench.desk.lease(ANN, "r1", "1")
        answers = (True,) * len(leased.rubric)
        with refused(NotNow, "is leased: expected awaiting score"):
            await bench.desk.score(ANN, leased.trial, True, answers, "", "2")
        with refused(NotNow, "is leased: it does not run"):
            await bench.desk.stop_trial(ANN, leased.trial, "3")
        with refused(NotFound, "no such trial"):
            await bench.desk.score(ANN, "aaaaaaaaaaaaaaaa", True, (), "", "4")
        await bench.desk.release(ANN, leased.trial, "5")
        view = await bench.judged(tag="x")
        with refused(NotNow, "is scored"):
            await bench.desk.score(ANN, view.trial, True, answers, "", "6")

    asyncio.run(run())


def test_nothing_moves_that_is_not_recorded(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.desk.lease(ANN, "r1", "1")).trial
        await bench.desk.arm(ANN, trial, "2")
        bench.robots.robots["r1"].at_home = False
        with refused(NotNow, "not in its start pose"):
            await bench.desk.start_trial(ANN, trial, "3")
        # Arming again sends it there again.
        await bench.desk.arm(ANN, trial, "4")
        bench.robots.robots["r1"].connected = False
        with refused(NotNow, "not connected"):
            await bench.desk.start_trial(ANN, trial, "5")
        assert [what for what, *_ in bench.robots.told] == ["arm", "arm"]
        assert len(bench.commands()) == 2

    asyncio.run(run())


def test_a_robot_that_is_not_there_cannot_be_taken(bench: Bench) -> None:
    async def run() -> None:
        with refused(NotFound, "r1, r2"):
            await bench.desk.lease(ANN, "r9", "1")
        bench.robots.robots["r1"].connected = False
        with refused(NotNow, "unichunk eval robot"):
            await bench.desk.lease(ANN, "r1", "2")

    asyncio.run(run())


def test_a_void_trial_is_held_recorded_and_done_again(bench: Bench) -> None:
    async def run() -> None:
        running = await bench.running()
        with refused(EvaluationError, "length >= 3"):
            await bench.desk.void(ANN, running.trial, "no", "v0")
        assert bench.robots.robots["r1"].mode == "run"
        view = await bench.desk.void(ANN, running.trial, "somebody pushed the table", "v")
        assert (view.state, view.reason) == ("void", "somebody pushed the table")
        assert bench.robots.told[-1] == ("hold", "r1")
        assert (await bench.desk.void(ANN, running.trial, "somebody pushed the table", "v")).state == "void"
        overview = await bench.desk.overview(ANN)
        assert (overview.voided, overview.total, overview.mine) == (1, 4, None)
        assert len(bench.store._store.trials()) == 5

    asyncio.run(run())


def test_a_campaign_to_its_end(tmp_path: Path) -> None:
    bench = Bench.make(tmp_path / "campaign", small(trials_per_cell=2))

    async def run() -> None:
        for number in range(8):
            await bench.judged(success=number % 2 == 0, tag=str(number))
        overview = await bench.desk.overview(ANN)
        assert (overview.scored, overview.complete) == (8, True)
        assert await bench.desk.next_trial(ANN) is None
        with refused(NotNow, "no trial is left"):
            await bench.desk.lease(ANN, "r1", "more")

    asyncio.run(run())
    bench.close()


def test_who_may_what(bench: Bench) -> None:
    async def run() -> None:
        trial = (await bench.running()).trial
        for who in (ADA, RAY, AUD, ARM):
            with refused(NotAllowed, "may not"):
                await bench.desk.lease(who, "r2", f"{who.name}/lease")
            with refused(NotAllowed):
                await bench.desk.score(who, trial, True, (), "", f"{who.name}/score")
        with refused(NotAllowed):
            await bench.desk.overview(ARM)
        for who in (ANN, RAY):
            with refused(NotAllowed, "may not"):
                await bench.desk.log(who)
        assert [event.entry.command for event in await bench.desk.log(AUD, 2)] == [c.Start(trial=trial)]
        assert str(await bench.desk.head(AUD)).startswith("3:")
        assert (await bench.desk.overview(RAY)).mine is None
        assert [one.trial for one in (await bench.desk.overview(ADA)).working] == [trial]
        # An admin may void what an operator left behind, and nothing else.
        await bench.desk.stop_trial(ANN, trial, "stop")
        with refused(NotAllowed, "score: ada"):
            await bench.desk.score(ADA, trial, True, (), "", "ada/1")
        assert (await bench.desk.void(ADA, trial, "operator went home", "ada/2")).state == "void"

    asyncio.run(run())


def test_what_an_operator_is_asked_afterwards(bench: Bench) -> None:
    async def run() -> None:
        assert (await bench.desk.overview(ANN)).afterwards is None
        views = [await bench.judged(tag=str(number)) for number in range(4)]
        asked = (await bench.desk.overview(ANN)).afterwards
        assert asked is not None
        assert (asked.trial, asked.policies) == (views[-1].trial, ("policy 0", "policy 1"))
        same = [view.trial for view in views[:-1] if view.task == views[-1].task]
        assert asked.other == same[-1]
        await bench.desk.guess(ANN, asked.trial, "", "g")
        await bench.desk.prefer(ANN, asked.trial, asked.other, "other", "p")
        assert (await bench.desk.overview(ANN)).afterwards is None
        assert (await bench.desk.overview(BOB)).afterwards is None
        with refused(EvaluationError, "better"):
            await bench.desk.prefer(ANN, asked.trial, asked.other, "both", "q")

    asyncio.run(run())


def test_an_emergency_unblinding_takes_two(bench: Bench) -> None:
    from tests.evaluation.desk_bench import EVE

    async def run() -> None:
        trial = (await bench.judged()).trial
        await bench.desk.propose_unblinding(ADA, trial, "it hurt somebody", "1")
        assert [one.by for one in (await bench.desk.overview(EVE)).proposals] == ["ada"]
        assert (await bench.desk.overview(ANN)).proposals == ()
        for who in (ADA, EVE):
            with refused(NotAllowed, "two administrators"):
                await bench.desk.unblinded(who, trial)
        with refused(NotAllowed, "second person"):
            await bench.desk.confirm_unblinding(ADA, trial, "2")
        name = bench.campaign.plan.campaign.policies[bench.policy(trial)].name
        assert await bench.desk.confirm_unblinding(EVE, trial, "3") == name
        assert await bench.desk.confirm_unblinding(EVE, trial, "3") == name
        assert await bench.desk.unblinded(ADA, trial) == name
        with refused(NotAllowed):
            await bench.desk.unblinded(ANN, trial)

    asyncio.run(run())


def test_views_do_not_tell_slots_or_attempts(bench: Bench) -> None:
    async def run() -> None:
        view = await bench.running()
        assert not {"slot", "attempt", "position", "policy"} & set(view.__struct_fields__)
        assert view.number == 1

    asyncio.run(run())
