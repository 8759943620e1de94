"""A trial as the page sends it: what is recorded once, what is refused, and what two operators see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.evaluation.asgi_client import AsgiClient
from tests.evaluation.small_campaign import ADA
from tests.evaluation.web_bench import LIVE, PHOTO, Person, WebBench
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEFT, RIGHT = "so101-left", "so101-right"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebBench]:
    web = WebBench.make(tmp_path / "campaign")
    yield web
    web.close()


async def leased(person: Person, robot: str = LEFT) -> str:
    answer = await person.do("/api/lease", {"robot": robot})
    assert answer.status == 200, answer.text
    trial: str = answer.json["trial"]["trial"]
    return trial


async def running(person: Person, robot: str = LEFT) -> str:
    trial = await leased(person, robot)
    assert (await person.move(f"/api/trials/{trial}/arm")).json["trial"]["state"] == "armed"
    assert (await person.move(f"/api/trials/{trial}/start")).json["trial"]["state"] == "running"
    return trial


async def judged(person: Person, success: bool = True, robot: str = LEFT) -> str:
    trial = await running(person, robot)
    view = (await person.do(f"/api/trials/{trial}/stop")).json["trial"]
    rubric = [success] * len(view["rubric"])
    answer = await person.do(f"/api/trials/{trial}/score", {"success": success, "rubric": rubric, "note": "fine"})
    assert answer.json["trial"]["state"] == "scored"
    return trial


def test_a_trial_from_the_page(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        assert "Take the next trial" in (await ann.get("/")).text
        trial = await leased(ann)
        page = await ann.get(f"/trials/{trial}")
        assert page.status == 200
        assert 'data-state="leased"' in page.text
        assert (await ann.move(f"/api/trials/{trial}/arm")).status == 200
        assert (await ann.move(f"/api/trials/{trial}/start")).status == 200
        web.bench.clocks.wait(2.5)
        now = (await ann.get("/api/now")).json["overview"]
        assert (now["mine"]["state"], now["mine"]["elapsed_s"]) == ("running", 2.5)
        assert 'data-elapsed="2.5"' in (await ann.get(f"/trials/{trial}")).text
        view = (await ann.do(f"/api/trials/{trial}/stop")).json["trial"]
        body = {"success": False, "rubric": [False] * len(view["rubric"]), "note": "it fell"}
        assert (await ann.do(f"/api/trials/{trial}/score", body)).status == 200
        known = web.bench.trial(trial)
        assert known.state is TrialState.SCORED
        assert known.score is not None
        assert (known.score.success, known.score.note, known.score.by) == (False, "it fell", "ann")

    asyncio.run(run())


def test_the_same_key_is_the_same_action(web: WebBench) -> None:
    async def run() -> None:
        ann, bob = await web.sign_in("ann"), await web.sign_in("bob")
        trial = await running(ann)
        for _ in range(3):
            assert (await ann.do(f"/api/trials/{trial}/stop", key="stop" * 4)).status == 200
        body = {"success": True, "rubric": [True] * len(web.bench.campaign.plan.campaign.tasks[0].rubric)}
        if web.bench.trial(trial).layout == "right":
            body["rubric"] = []
        for _ in range(3):
            answer = await ann.do(f"/api/trials/{trial}/score", body, key="score" * 4)
            assert (answer.status, answer.json["trial"]["state"]) == (200, "scored")
        # The same key for something else is a mistake of the page; it changes nothing.
        other = await ann.do(f"/api/trials/{trial}/score", {**body, "success": False}, key="score" * 4)
        assert (other.status, other.json["code"]) == (409, "not now")
        assert (await ann.do(f"/api/trials/{trial}/score", body)).status == 409
        assert sum(isinstance(command, c.GiveScore) for command in web.bench.commands()) == 1
        # And somebody else's key of the same letters is another key.
        assert (await bob.do("/api/lease", {"robot": LEFT}, key="score" * 4)).status == 200

    asyncio.run(run())


def test_robots_move_for_a_fresh_page_alone(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        trial = await leased(ann)
        ticket = (await ann.get("/api/now")).json["ticket"]
        web.bench.clocks.wait(10.5)
        for action in ("arm", "start"):
            answer = await ann.do(f"/api/trials/{trial}/{action}", {"ticket": ticket})
            assert (answer.status, answer.json["code"]) == (409, "stale ticket")
        assert web.bench.robots.told == []
        assert (await ann.do(f"/api/trials/{trial}/arm", {})).status == 400
        assert (await ann.move(f"/api/trials/{trial}/arm")).status == 200
        assert web.bench.robots.told == [("arm", LEFT)]

    asyncio.run(run())


def test_two_operators_on_one_trial(web: WebBench) -> None:
    async def run() -> None:
        ann, bob = await web.sign_in("ann"), await web.sign_in("bob")
        trial = await leased(ann)
        answer = await bob.do("/api/lease", {"robot": LEFT})
        assert (answer.status, answer.json["code"]) == (409, "not now")
        page = await bob.get(f"/trials/{trial}")
        assert page.status == 409
        assert "Trial 1 is with ann" in page.text
        assert f"on {LEFT}" in page.text
        assert "ann has it" in (await bob.get("/")).text
        before = web.bench.commands()
        for action, body in (
            ("stop", {}),
            ("release", {}),
            ("void", {"reason": "mine"}),
            ("score", {"success": True}),
        ):
            answer = await bob.do(f"/api/trials/{trial}/{action}", body)
            assert answer.status in {403, 409}, action
        for action in ("arm", "start"):
            assert (await bob.move(f"/api/trials/{trial}/{action}")).status == 403
        assert web.bench.commands() == before
        assert web.bench.robots.told == []
        # Another robot is free for the other one.
        assert (await bob.do("/api/lease", {"robot": RIGHT})).status == 200
        assert "Trial 1 is with ann" in (await bob.get(f"/trials/{trial}")).text
        # A trial that is over says so to its own operator too.
        await ann.do(f"/api/trials/{trial}/void", {"reason": "the cup fell"})
        assert "is over" in (await ann.get(f"/trials/{trial}")).text

    asyncio.run(run())


def test_a_score_for_a_trial_that_does_not_run(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        trial = await leased(ann)
        for _ in range(2):
            answer = await ann.do(f"/api/trials/{trial}/score", {"success": True, "rubric": []})
            assert (answer.status, answer.json["code"]) in {(409, "not now"), (400, "bad request")}
            await ann.move(f"/api/trials/{trial}/arm")
        assert (await ann.do("/api/trials/nonesuch/score", {"success": True})).status == 404

    asyncio.run(run())


def test_a_void_needs_a_reason_and_comes_before_the_score(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        trial = await running(ann)
        for reason in ("", "no"):
            assert (await ann.do(f"/api/trials/{trial}/void", {"reason": reason})).status == 400
        assert web.bench.trial(trial).state is TrialState.RUNNING
        assert (await ann.do(f"/api/trials/{trial}/void", {"reason": "the cup fell"})).status == 200
        assert web.bench.trial(trial).state is TrialState.VOID
        assert web.bench.robots.told[-1] == ("hold", LEFT)
        other = await judged(ann)
        assert (await ann.do(f"/api/trials/{other}/void", {"reason": "second thoughts"})).status == 409

    asyncio.run(run())


def test_a_hold_works_for_everybody_who_may_and_while_nothing_is_recorded(web: WebBench) -> None:
    async def run() -> None:
        people = {name: await web.sign_in(name) for name in ("ann", "bob", "ada", "ray", "aud")}
        trial = await running(people["ann"])
        web.bench.store.full = True
        answer = await people["bob"].do("/api/hold", {"robot": LEFT})
        assert (answer.status, answer.json["code"]) == (503, "not recorded")
        assert web.bench.robots.told[-1] == ("hold", LEFT)
        assert "disk full" not in answer.text
        web.bench.store.full = False
        assert (await people["ada"].do("/api/hold", {"robot": LEFT})).status == 200
        assert web.bench.trial(trial).state is TrialState.INTERRUPTED
        told = list(web.bench.robots.told)
        for name in ("ray", "aud"):
            assert (await people[name].do("/api/hold", {"robot": RIGHT})).status == 403
        assert web.bench.robots.told == told

    asyncio.run(run())


def test_nothing_is_recorded_while_the_disk_is_full(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        trial = await running(ann)
        await ann.do(f"/api/trials/{trial}/stop")
        web.bench.store.full = True
        rubric = [True] * len((await ann.get("/api/now")).json["overview"]["mine"]["rubric"])
        body = {"success": True, "rubric": rubric}
        answer = await ann.do(f"/api/trials/{trial}/score", body, key="full" * 4)
        assert (answer.status, answer.json["code"]) == (503, "not recorded")
        now = await ann.get("/api/now")
        assert now.json["overview"]["recording"] is False
        assert "disk full" not in now.text
        assert "disk full" in (await (await web.sign_in("ada")).get("/admin")).text
        web.bench.store.full = False
        assert (await ann.do(f"/api/trials/{trial}/score", body, key="full" * 4)).status == 200
        assert web.bench.trial(trial).state is TrialState.SCORED

    asyncio.run(run())


def test_guesses_comparisons_and_notes(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        trials = [await judged(ann) for _ in range(4)]
        text = (await ann.get("/afterwards")).text
        assert "which policy do you think it was?" in text
        assert "Which went better" in text
        assert (await ann.do(f"/api/trials/{trials[-1]}/guess", {"policy": "policy 1"})).status == 200
        asked = (await ann.get("/api/now")).json["overview"]["afterwards"]
        comparison = {"other": asked["other"], "better": "this"}
        assert (await ann.do(f"/api/trials/{trials[-1]}/prefer", comparison)).status == 200
        assert (await ann.do(f"/api/trials/{trials[-1]}/prefer", {**comparison, "better": "best"})).status == 400
        assert (await ann.do(f"/api/trials/{trials[-1]}/note", {"text": "the light flickered"})).status == 200
        assert "which policy" not in (await ann.get("/afterwards")).text
        assert "Every trial is scored" in (await ann.get("/")).text

    asyncio.run(run())


def test_pictures_are_for_who_is_there(web: WebBench) -> None:
    async def run() -> None:
        ann, ray = await web.sign_in("ann"), await web.sign_in("ray")
        answer = await ann.get(f"/robots/{LEFT}/frame.jpg?camera=wrist")
        assert (answer.status, answer.header("content-type"), answer.header("cache-control")) == (
            200,
            "image/jpeg",
            "no-store",
        )
        assert answer.body in LIVE
        assert (await ray.get(f"/robots/{LEFT}/frame.jpg")).status == 403
        assert (await ann.get("/robots/none/frame.jpg")).status == 404
        photo = web.bench.campaign.plan.campaign.layouts[0].photo_sha256
        for person in (ann, ray):
            assert (await person.get(f"/photos/{photo}")).body == PHOTO
        web.bench.robots.frame = lambda *_: None  # type: ignore[method-assign]
        assert (await ann.get(f"/robots/{LEFT}/frame.jpg")).status == 204

    asyncio.run(run())


def test_scripts_are_asked_for_again_and_pages_are_not_kept(web: WebBench) -> None:
    async def run() -> None:
        answer = await AsgiClient(web.app).get("/static/trial.js")
        assert answer.header("cache-control") == "no-cache"
        assert (answer.header("content-type") or "").startswith("text/javascript")
        again = await AsgiClient(web.app).get("/static/trial.js", if_none_match=answer.header("etag") or "")
        assert again.status == 304
        for path in ("/static/style.css", "/static/icon.svg", "/static/check.svg"):
            assert (await AsgiClient(web.app).get(path)).status == 200

    asyncio.run(run())


def test_a_part_of_a_page_is_what_the_page_has(web: WebBench) -> None:
    async def run() -> None:
        ann = await web.sign_in("ann")
        whole, part = await ann.get("/"), await ann.get("/", x_part="1")
        assert part.text.startswith('<main id="main">')
        assert part.text.strip() in whole.text

    asyncio.run(run())


def test_an_administrator_ends_what_somebody_left(web: WebBench) -> None:
    async def run() -> None:
        ann, ada = await web.sign_in("ann"), await web.sign_in("ada")
        trial = await running(ann)
        page = (await ada.get("/admin")).text
        assert trial in page
        assert "ann has it" in page
        assert (await ada.do(f"/api/trials/{trial}/score", {"success": True})).status == 403
        assert (await ada.do("/api/lease", {"robot": RIGHT})).status == 403
        assert (await ada.do(f"/api/trials/{trial}/void", {"reason": "ann went home"})).status == 200
        assert web.bench.trial(trial).state is TrialState.VOID
        assert "<strong>1</strong> void" in (await ada.get("/admin")).text

    asyncio.run(run())


def test_a_campaign_that_was_ended_early_says_so_and_gives_no_trial(web: WebBench) -> None:
    async def run() -> None:
        ann, ada = await web.sign_in("ann"), await web.sign_in("ada")
        assert "ended early" not in (await ann.get("/")).text
        web.bench.store.apply(ADA, c.EndedEarly(reason="a reason of the admin's own"), "ended")
        page = (await ann.get("/")).text
        assert "<strong>ended early</strong>" in page
        assert "no trial is taken any more" in page
        assert all(" disabled>Take the next trial" in part for part in page.split('data-once="/api/lease"')[1:])
        assert "no trial is taken any more" in (await ann.get("/afterwards")).text
        assert "<strong>ended early</strong>" in (await ada.get("/admin")).text
        assert (await ann.do("/api/lease", {"robot": LEFT})).status == 409
        now = (await ann.get("/api/now")).json
        assert (now["overview"]["ended"], now["overview"]["complete"], now["next"]) == (True, False, None)
        assert "of the admin" not in page

    asyncio.run(run())


def test_unblinding_takes_two_administrators(web: WebBench) -> None:
    async def run() -> None:
        people: dict[str, Any] = {name: await web.sign_in(name) for name in ("ann", "ada", "eve", "aud")}
        trial = await judged(people["ann"])
        path = f"/api/unblinding/{trial}"
        assert (await people["ada"].do(f"{path}/confirm")).status == 409
        assert (await people["ann"].do(f"{path}/propose", {"reason": "curious"})).status == 403
        assert (await people["ada"].do(f"{path}/propose", {"reason": "no"})).status == 400
        assert (await people["ada"].do(f"{path}/propose", {"reason": "it hit somebody"})).status == 200
        assert "Waits for a second" in (await people["ada"].get("/admin")).text
        assert (await people["ada"].do(f"{path}/confirm")).status in {403, 409}
        assert "Confirm, show the policy" in (await people["eve"].get("/admin")).text
        answer = await people["eve"].do(f"{path}/confirm")
        policy = web.bench.campaign.plan.campaign.policies[web.bench.policy(trial)].name
        assert (answer.status, answer.json) == (200, {"policy": policy})

    asyncio.run(run())
