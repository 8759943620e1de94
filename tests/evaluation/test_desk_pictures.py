"""What people look at: live pictures, reference photos, and videos that second raters judge knowing nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.evaluation.desk_bench import ANN, ARM, RAY, Bench
from tests.one_line import refused
from unichunk.server.evaluation.errors import NotAllowed, NotFound, NotNow
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.rating_order import next_video, video_id
from unichunk.server.evaluation.recorded_video import RecordedVideo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench.make(tmp_path / "campaign")
    yield bench
    bench.close()


def record(folder: Path, pictures: int = 3, cameras: tuple[str, ...] = ("side", "wrist")) -> str:
    """An episode on the disk; the hash of its document."""
    for camera in cameras:
        (folder / "frames" / camera).mkdir(parents=True)
        for number in range(1, pictures + 1):
            (folder / "frames" / camera / f"{number:06d}.jpg").write_bytes(f"{camera} {number}".encode())
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"fps": 5.0, "cameras": {name: {} for name in cameras}, "more": "x"}).encode()
    (folder / "episode.json").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_second_raters_judge_videos_in_an_order_of_their_own(bench: Bench) -> None:
    async def run() -> None:
        trials = [(await bench.judged(tag=str(number), success=False)).trial for number in range(4)]
        assert await bench.desk.to_rate(RAY) is None
        with refused(NotAllowed, "may not"):
            await bench.desk.to_rate(ANN)
        bench.close()
        bench.open()
        for trial in trials[:3]:
            record(bench.folder / "episodes" / trial)
        (bench.folder / "episodes" / trials[3]).mkdir()
        seen: list[str] = []
        while (view := await bench.desk.to_rate(RAY)) is not None:
            assert view == await bench.desk.to_rate(RAY)
            assert view.video not in trials
            assert (view.cameras, view.frames, view.fps) == (("side", "wrist"), 3, 5.0)
            # Nothing of who ran it, when, and how it was judged.
            assert not {"operator", "number", "trial", "note", "elapsed_s"} & set(view.__struct_fields__)
            assert await bench.desk.rating_frame(RAY, view.video, "side", 2) == b"side 2"
            for camera, number in (("side", 0), ("side", 4), ("../side", 1)):
                with refused(NotFound, "expected 1 to 3"):
                    await bench.desk.rating_frame(RAY, view.video, camera, number)
            answers = (True,) * len(view.rubric)
            for _ in range(2):
                await bench.desk.rate(RAY, view.video, True, answers, "", f"rate-{len(seen)}")
            with refused(NotNow, "already"):
                await bench.desk.rate(RAY, view.video, True, answers, "", "again")
            seen.append(view.video)
        assert len(set(seen)) == 3
        assert sum(isinstance(command, c.Rate) for command in bench.commands()) == 3
        with refused(NotFound, "there is none"):
            await bench.desk.rate(RAY, trials[0], True, (), "", "by its id")

    asyncio.run(run())


def test_the_order_of_videos_tells_nothing_and_differs_between_raters() -> None:
    trials = [f"trial {number}" for number in range(50)]
    orders = []
    for key, rater in ((b"k", "ray"), (b"k", "roy"), (b"l", "ray")):
        left, order = set(trials), []
        while found := next_video(key, rater, left):
            assert found[0] == video_id(key, rater, found[1])
            left.remove(found[1])
            order.append(found[1])
        orders.append(order)
    assert all(sorted(order) == sorted(trials) for order in orders)
    assert len({tuple(order) for order in [*orders, trials]}) == 4


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"fps": "x", "cameras": {}}', b'{"fps": 5.0, "cameras": {}}', b"\xff"]
)
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    assert RecordedVideo.find(tmp_path / "nowhere") is None
    (tmp_path / "episode.json").write_bytes(content)
    assert RecordedVideo.find(tmp_path) is None


def test_a_video_is_as_long_as_its_shortest_camera(tmp_path: Path) -> None:
    record(tmp_path, 4)
    (tmp_path / "frames" / "wrist" / "000004.jpg").unlink()
    found = RecordedVideo.find(tmp_path)
    assert found is not None
    assert (found.frames, found.picture("wrist", 3)) == (3, b"wrist 3")
    (tmp_path / "frames" / "wrist" / "000002.jpg").unlink()
    with refused(NotFound, "picture 2"):
        found.picture("wrist", 2)


def test_episodes_are_bound_to_the_log_once(bench: Bench) -> None:
    async def run() -> None:
        first, second = [(await bench.judged(tag=str(number))).trial for number in range(2)]
        told = record(bench.folder / "episodes" / first)
        bench.robots.on_recorded(first, told)
        await bench.desk.close()
        # The server ended before it heard of the second one.
        found = record(bench.folder / "episodes" / second)
        bench.close()
        bench.open()
        await bench.desk.start()
        await bench.desk.close()
        recorded = [command for command in bench.commands() if isinstance(command, c.Recorded)]
        assert recorded == [c.Recorded(trial=first, sha256=told), c.Recorded(trial=second, sha256=found)]

    asyncio.run(run())


def test_live_pictures_and_photos(bench: Bench) -> None:
    async def run() -> None:
        assert await bench.desk.frame(ANN, "r1", "wrist") == b"r1 wrist"
        with refused(NotFound, "never seen"):
            await bench.desk.frame(ANN, "r9")
        with refused(NotAllowed):
            await bench.desk.frame(RAY, "r1")
        with refused(NotFound, "no layout has it"):
            await bench.desk.photo(RAY, "")
        with refused(NotAllowed):
            await bench.desk.photo(ARM, "")
        robots = (await bench.desk.overview(ANN)).robots
        assert msgspec.json.encode(robots[0]).startswith(b'{"name":"r1","connected":true')

    asyncio.run(run())
