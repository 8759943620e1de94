"""What raters and auditors see: videos of an id of their own, and the log with its head."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.evaluation.test_web_trials import judged
from tests.evaluation.web_bench import WebBench, record_videos, scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebBench]:
    web = WebBench.make(tmp_path / "campaign")
    yield web
    web.close()


def test_a_rater_judges_what_was_recorded(web: WebBench) -> None:
    async def run() -> None:
        ann, ray = await web.sign_in("ann"), await web.sign_in("ray")
        assert "No video waits for you" in (await ray.get("/rate")).text
        trials = [await judged(ann, success) for success in (True, False)]
        record_videos(web.bench, frames=3)
        seen = []
        for _ in trials:
            page = (await ray.get("/rate")).text
            video = page.partition('data-video="')[2].partition('"')[0]
            seen.append(video)
            # Nothing leads back to the trial, to who ran it or to how it was judged.
            for secret in (*trials, "ann", "scored", "fine", "so101-left"):
                assert secret not in page.replace('data-for="scored"', ""), secret
            assert (await ray.get(f"/videos/{video}/wrist/2.jpg")).body == scene(2)
            for path in (
                f"/videos/{video}/wrist/4.jpg",
                f"/videos/{video}/none/1.jpg",
                f"/videos/{trials[0]}/wrist/1.jpg",
            ):
                assert (await ray.get(path)).status == 404
            assert (await ann.get(f"/videos/{video}/wrist/1.jpg")).status == 403
            rubric = [True] * page.count('role="switch"')
            for _ in range(2):
                body = {"success": True, "rubric": rubric, "note": ""}
                assert (await ray.do(f"/api/videos/{video}/rate", body, key="rate" * 4 + video[:8])).status == 200
        assert len(set(seen)) == 2
        assert not set(seen) & set(trials)
        assert "No video waits for you" in (await ray.get("/rate")).text
        assert len(web.bench.store._store.book.ratings) == 2

    asyncio.run(run())


def test_the_log_page_by_page_and_whole(web: WebBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.evaluation.web.log_page.PAGE", 4)
    monkeypatch.setattr("unichunk.server.evaluation.web.log_page.PIECE", 3)

    async def run() -> None:
        aud = await web.sign_in("aud")
        assert "Nothing has happened yet" in (await aud.get("/log")).text
        assert (await aud.get("/log/events.jsonl")).body == b""
        ann = await web.sign_in("ann")
        await judged(ann)
        await judged(ann)
        events = web.bench.store._store.events()
        head = str(web.bench.store._store.head())
        answer = await aud.get("/log/head.txt")
        assert answer.text == f"{head}\n"
        assert answer.header("content-disposition") == f'attachment; filename="head-{len(events)}.txt"'
        lines = [json.loads(line) for line in (await aud.get("/log/events.jsonl")).text.splitlines()]
        assert [(one["seq"], one["hash"], one["body"]) for one in lines] == [
            (event.seq, event.hash, event.body) for event in events
        ]
        shown = []
        path = "/log"
        while path:
            page = (await aud.get(path)).text
            assert head in page
            shown += [event.seq for event in reversed(events) if event.hash[:16] + "<" in page]
            path = page.partition('href="/log?before=')[2].partition('"')[0]
            path = path and f"/log?before={path}"
        assert shown == [event.seq for event in reversed(events)]
        for odd in ("0", "-3", "x", "9" * 30, "１２"):
            assert (await aud.get(f"/log?before={odd}")).status == 200

    asyncio.run(run())
