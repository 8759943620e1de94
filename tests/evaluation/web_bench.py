"""Pages over a real desk on a real store, with robots that have pictures."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from PIL import Image, ImageDraw

from tests.evaluation.asgi_client import AsgiClient
from tests.evaluation.desk_bench import ADA, ANN, ARM, AUD, BOB, EVE, RAY, Bench, Clocks
from tests.evaluation.fake_robots import FakeRobot, FakeRobots
from tests.evaluation.small_campaign import Small, small, write_folder
from tests.serving.front_server import Keys
from unichunk.server.evaluation.planning.campaign import Campaign, Layout
from unichunk.server.evaluation.planning.commitment import commitment_of, draw_slots
from unichunk.server.evaluation.planning.keys import derive_keys
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.web.app import make_app
from unichunk.server.evaluation.web.settings import WebSettings
from unichunk.server.serving.http_server import HttpServer, reserve
from unichunk.server.serving.identity import Identity, Role
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

VIEWER = Identity("k8", "vic", Role.VIEWER)
PEOPLE = {one.name: one for one in (ANN, BOB, RAY, ADA, EVE, AUD, ARM, VIEWER)}
"""Their keys are their names."""

COOKIE_KEY = bytes(range(32))


def scene(shift: int = 0, *, cup: tuple[int, int] = (250, 250), size: tuple[int, int] = (640, 480)) -> bytes:
    """A table with two cups and a gripper, as JPEG; the gripper is where `shift` says."""
    image = Image.new("RGB", size, (203, 196, 184))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 640, 150), fill=(92, 101, 110))
    draw.polygon(((40, 480), (130, 150), (510, 150), (600, 480)), fill=(168, 128, 88))
    for (x, y), color in ((cup, (36, 94, 160)), ((400, 290), (205, 74, 44))):
        draw.ellipse((x - 42, y + 40, x + 42, y + 66), fill=(110, 82, 54))
        draw.polygon(((x - 40, y - 46), (x + 40, y - 46), (x + 30, y + 54), (x - 30, y + 54)), fill=color)
        draw.ellipse((x - 40, y - 58, x + 40, y - 34), fill=tuple(channel // 2 for channel in color))
    x = 320 + shift
    draw.line((x, 0, x, 130), fill=(24, 26, 28), width=36)
    draw.line((x - 26, 130, x - 32, 196), fill=(24, 26, 28), width=14)
    draw.line((x + 26, 130, x + 32, 196), fill=(24, 26, 28), width=14)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


PHOTO = scene(cup=(205, 265))
LIVE = tuple(scene(round(60 * phase - 120)) for phase in range(5))


@dataclass
class PicturedRobots(FakeRobots):
    """Robots with a camera; the pictures follow one another."""

    shown: int = 0

    def frame(self, robot: str, camera: str | None = None) -> bytes | None:
        self.shown += 1
        return LIVE[self.shown % len(LIVE)]


def pictured(*, layouts: tuple[str, ...] = ("left", "right"), timeout_s: float = 60.0, **options: Any) -> Small:
    """A campaign with reference photos and words; see `small`."""
    made = small(**options)
    photo = hashlib.sha256(PHOTO).hexdigest()
    stack, push = made.plan.campaign.tasks
    tasks = (
        msgspec.structs.replace(
            stack,
            instruction="put the blue cup into the red one",
            success="The blue cup stands inside the red one, and the gripper has let go.",
            rubric=("Blue cup grasped", "Lifted off the table", "Over the red cup"),
            timeout_s=timeout_s,
        ),
        msgspec.structs.replace(push, timeout_s=timeout_s),
    )
    campaign: Campaign = msgspec.structs.replace(
        made.plan.campaign,
        name="Cups October",
        tasks=tasks,
        layouts=tuple(
            Layout(
                name=name,
                task=tasks[index % 2].name if len(layouts) == 2 else tasks[0].name,
                description="Blue cup on the left mark, handle to the robot; red cup on the right one.",
                photo=f"photos/{photo}.jpg",
                photo_sha256=photo,
            )
            for index, name in enumerate(layouts)
        ),
    )
    return _again(made, campaign)


def _again(made: Small, campaign: Campaign) -> Small:
    """The same with another campaign: drawn from the same seed."""
    keys = derive_keys(bytes.fromhex(made.opening.seed))
    plan = msgspec.structs.replace(made.plan, campaign=campaign, slots=draw_slots(campaign, keys))
    seed, salt = bytes.fromhex(made.opening.seed), bytes.fromhex(made.opening.salt)
    return Small(msgspec.structs.replace(plan, commitment=commitment_of(plan, seed, salt)), made.secrets, made.opening)


@dataclass
class RealClocks(Clocks):
    """Clocks that go; `wait` still moves them."""

    ahead_s: float = 0.0

    def mono(self) -> float:
        return time.monotonic() + self.ahead_s

    def wall(self) -> int:
        return time.time_ns() + round(self.ahead_s * 1e9)

    def wait(self, seconds: float) -> None:
        self.ahead_s += seconds


@dataclass
class WebBench:
    """An application and what it stands on.

    Attributes:
        bench: The desk and its parts.
        keys: Who may sign in.
        app: The pages.
        said: What they log.
        log: Where they do.
    """

    bench: Bench
    keys: Keys
    app: FastAPI
    said: io.StringIO
    log: Log

    @classmethod
    def make(cls, folder: Path, campaign: Small | None = None, *, going: bool = False, secure: bool = True) -> WebBench:
        names = ("so101-left", "so101-right")
        robots = PicturedRobots({name: FakeRobot(name) for name in names})
        clocks: Clocks = RealClocks() if going else Clocks()
        bench = Bench(campaign or pictured(), folder, clocks, robots)
        _freeze(bench)
        keys = Keys(**PEOPLE)
        said = io.StringIO()
        log = Log(stream=said)
        count = iter(range(10**6))
        app = make_app(
            bench.desk,
            keys,
            WebSettings(COOKIE_KEY, secure=secure, picture_s=0.4),
            log=log,
            wall=lambda: clocks.wall() / 1e9,
            clock=clocks.mono,
            token=lambda: f"token-{next(count):08d}",
        )
        return cls(bench, keys, app, said, log)

    async def sign_in(self, name: str) -> Person:
        """Somebody with a browser."""
        person = Person(self.app)
        answer = await person.form("/login", {"key": name})
        assert answer.status == 303, answer.text
        page = await person.get(answer.header("location") or "/")
        found = re.search(r'name="form-token" content="([^"]+)"', page.text)
        assert found is not None
        person.token = found[1]
        return person

    def close(self) -> None:
        self.bench.close()


@dataclass
class Person(AsgiClient):
    """Somebody who is signed in.

    Attributes:
        token: What the forms of this session carry.
        keys: How many idempotency keys were used.
    """

    token: str = ""
    keys: int = 0

    async def do(self, path: str, body: Any = None, key: str = "") -> Any:
        """Send what a page's script sends; a fresh key unless one is given."""
        self.keys += 1
        return await self.post(path, body, key=key or f"key-{self.keys:016d}", token=self.token)

    async def move(self, path: str) -> Any:
        """The same for what sets a robot in motion."""
        return await self.do(path, {"ticket": (await self.get("/api/now")).json["ticket"]})


def _freeze(bench: Bench) -> None:
    write_folder(bench.campaign, bench.folder)
    photos = bench.folder / "photos"
    photos.mkdir()
    (photos / f"{hashlib.sha256(PHOTO).hexdigest()}.jpg").write_bytes(PHOTO)
    EvaluationStore.create(bench.folder, bench.campaign.plan, bench.campaign.secrets).close()
    bench.open()


def record_videos(bench: Bench, frames: int) -> None:
    """What the proxy would have recorded of every trial that is judged."""
    for trial in bench.store._store.book.judged:
        folder = bench.folder / "episodes" / trial
        (folder / "frames" / "wrist").mkdir(parents=True, exist_ok=True)
        for number in range(1, frames + 1):
            (folder / "frames" / "wrist" / f"{number:06d}.jpg").write_bytes(scene(number))
        (folder / "episode.json").write_text(json.dumps({"fps": 5.0, "cameras": {"wrist": {}}}))


@contextmanager
def listening(web: WebBench) -> Iterator[str]:
    """The application behind a real port, in a thread with an event loop of its own; yields its address."""
    ready: Any = threading.Event()
    stop: Any = None
    loop = asyncio.new_event_loop()
    address = ""

    async def serve() -> None:
        nonlocal stop, address
        stop = asyncio.Event()
        sockets = reserve("127.0.0.1", 0)
        address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        server = HttpServer(web.app, sockets, limits=ClientLimits(), tls=None, log=web.log)
        await web.bench.desk.start()
        await server.start()
        ready.set()
        await stop.wait()
        await server.stop()
        await web.bench.desk.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
