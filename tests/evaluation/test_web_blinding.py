"""No byte of any page depends on which policy is behind a trial.

The same campaign is run twice: the same ids, layouts, people and clocks, and in the second run every trial has another
policy. Everything that operators, raters and administrators can ask for is asked for at every step, and has to be the
same to the byte: status, headers in their order, body. A trial of each run dies with its policy, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from tests.evaluation.small_campaign import Small
from tests.evaluation.test_web_trials import LEFT, RIGHT, leased, running
from tests.evaluation.web_bench import Person, WebBench, pictured, record_videos
from unichunk.server.evaluation.planning.seal import open_policy, seal_policy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation.asgi_client import Answer

PLACES = {
    "ann": ("/", "/afterwards", "/api/now"),
    "bob": ("/", "/afterwards", "/api/now"),
    "ray": ("/rate",),
    "ada": ("/", "/api/now", "/admin"),
}
"""Not the log: an auditor sees random names of the server's own events in it."""


def with_other_policies(made: Small) -> Small:
    """The same plan, but every slot has the other policy."""
    plan, key = made.plan, made.secrets.map_key
    slots = tuple(
        msgspec.structs.replace(
            slot,
            sealed_policy=seal_policy(
                key, plan.campaign_id, slot.slot, slot.trial, slot.layout, 1 - open_policy(key, plan.campaign_id, slot)
            ),
        )
        for slot in plan.slots
    )
    return Small(msgspec.structs.replace(plan, slots=slots), made.secrets, made.opening)


class Looker:
    """Looks at everything, again and again, and keeps what it saw."""

    def __init__(self, web: WebBench) -> None:
        self._web = web
        self._people: dict[str, Person] = {}
        self.seen: list[tuple[str, str, Answer]] = []

    async def person(self, name: str) -> Person:
        if name not in self._people:
            self._people[name] = await self._web.sign_in(name)
        return self._people[name]

    async def look(self, *more: str) -> None:
        for name, paths in PLACES.items():
            person = await self.person(name)
            for path in (*paths, *(more if name in {"ann", "bob", "ada"} else ())):
                self.seen.append((name, path, await person.get(path)))

    async def do(self, name: str, path: str, body: object) -> Answer:
        answer: Answer = await (await self.person(name)).do(path, body)
        self.seen.append((name, path, answer))
        await self.look()
        return answer

    async def watch_video(self) -> None:
        """The rater's next video, and a judgement of it."""
        ray = await self.person("ray")
        page = await ray.get("/rate")
        video = page.text.partition('data-video="')[2].partition('"')[0]
        assert video
        for path in (f"/videos/{video}/wrist/1.jpg", f"/videos/{video}/wrist/9.jpg"):
            self.seen.append(("ray", path, await ray.get(path)))
        rubric = [True] * page.text.count('role="switch"')
        await self.do("ray", f"/api/videos/{video}/rate", {"success": True, "rubric": rubric, "note": ""})


async def judge(looker: Looker, trial: str) -> None:
    rubric = (await (await looker.person("ann")).get("/api/now")).json["overview"]["mine"]["rubric"]
    body = {"success": True, "rubric": [True] * len(rubric), "note": "n"}
    await looker.do("ann", f"/api/trials/{trial}/score", body)
    for policy in ("policy 1", "policy 0"):
        await looker.do("ann", f"/api/trials/{trial}/guess", {"policy": policy})


async def whole_campaign(web: WebBench) -> list[tuple[str, str, Answer]]:
    looker = Looker(web)
    ann, bob = await looker.person("ann"), await looker.person("bob")
    await looker.look()
    # One trial whose policy dies.
    trial = await running(ann)
    web.bench.clocks.wait(1.5)
    await looker.look(f"/trials/{trial}", f"/robots/{LEFT}/frame.jpg")
    web.bench.robots.on_event(LEFT, trial, "policy lost")
    await asyncio.sleep(0)
    await web.bench.desk.look()
    await looker.look(f"/trials/{trial}")
    await looker.do("ann", f"/api/trials/{trial}/score", {"success": True, "rubric": []})
    await looker.do("ann", f"/api/trials/{trial}/void", {"reason": "it was stopped"})
    # One that is held, one that runs out of time, and the rest as they should be.
    held = await running(bob, RIGHT)
    await looker.do("ann", "/api/hold", {"robot": RIGHT})
    await looker.do("bob", f"/api/trials/{held}/void", {"reason": "it was held"})
    late = await running(ann)
    web.bench.clocks.wait(60.5)
    await web.bench.desk.look()
    await looker.look(f"/trials/{late}")
    await judge(looker, late)
    while not (await ann.get("/api/now")).json["overview"]["complete"]:
        trial = await leased(ann)
        await looker.look(f"/trials/{trial}")
        for action in ("arm", "start"):
            ticket = (await ann.get("/api/now")).json["ticket"]
            await looker.do("ann", f"/api/trials/{trial}/{action}", {"ticket": ticket})
        web.bench.clocks.wait(3)
        await looker.do("ann", f"/api/trials/{trial}/stop", {})
        await judge(looker, trial)
    record_videos(web.bench, frames=2)
    ray = await looker.person("ray")
    while "No video" not in (await ray.get("/rate")).text:
        await looker.watch_video()
    return looker.seen


def test_the_same_bytes_whichever_policy_it_is(tmp_path: Path) -> None:
    campaign = pictured()
    runs = []
    policies = []
    for name, made in (("one", campaign), ("other", with_other_policies(campaign))):
        web = WebBench.make(tmp_path / name, made)
        runs.append(asyncio.run(whole_campaign(web)))
        policies.append([one[3] for one in web.bench.robots.told if one[0] == "run"])
        web.close()
    # The two runs did differ, in every trial.
    assert len(policies[0]) == len(policies[1]) > 4
    assert all(one != other for one, other in zip(*policies, strict=True))
    assert len(runs[0]) == len(runs[1]) > 150
    for one, other in zip(*runs, strict=True):
        assert one == other
    for name, path, answer in runs[0]:
        if name != "ada":
            assert b"policy lost" not in answer.body, (name, path)
