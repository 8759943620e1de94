"""Service processes killed with SIGKILL, thousands of times: what was answered is there, once, as it was.

Each process is forked, opens the campaign (everything in it is read and checked), asks again for what the one before
was killed over, and goes on. It is killed at a step (right before or after a call into the database or the operating
system, one after the other), or at any moment. A witness outside remembers every answer.

A killed process is no power failure: what it had handed to the operating system stays. What a power failure does on top
(SQLite's write-ahead log cut off at any byte) is in the store's tests.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import select
import shutil
import signal
import time
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import msgspec

from unichunk.benchmarks.evaluated.crash_life import Life, Told, live
from unichunk.benchmarks.evaluated.crash_witness import Witness
from unichunk.benchmarks.evaluated.small_campaign import Small, small, write_folder
from unichunk.server.evaluation.errors import EvaluationError
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.url_file import write_url
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from unichunk.benchmarks.evaluated.postgres_server import PostgresServer

LONGEST_S = 60.0
"""A process that tells nothing for this long hangs, [s]."""

VERIFY_EVERY = 20
"""Kills between two runs of `verify`."""


@dataclass
class CrashRow:
    """What came of one series of kills.

    Attributes:
        database: `SQLite` or `PostgreSQL`.
        how: What was killed, and when.
        kills: How many times.
        commands: Answered ones.
        campaigns: How many were run to their end.
        recorded: Commands whose process died before it answered, and that were found recorded.
        not_recorded: The same, found not recorded; asked again with their keys, both were recorded once.
        wrong: Whatever was lost, duplicated, scored again, invented, or did not verify; one line each.
        steps: How many different steps processes were killed at.
        seconds: [s].
    """

    database: str
    how: str
    kills: int = 0
    commands: int = 0
    campaigns: int = 0
    recorded: int = 0
    not_recorded: int = 0
    wrong: list[str] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Disturbance:
    """Something that is done to a process.

    Attributes:
        blocks: After it has told so much.
        wait_s: And then after this long, [s].
        action: What; gets its process id.
    """

    blocks: int
    wait_s: float
    action: Callable[[int], None]


@dataclass
class Campaigns:
    """Makes one fresh campaign after the other, each a copy of the first.

    Args:
        folder: An empty one.
        server: Of PostgreSQL; None: SQLite.
    """

    folder: Path
    server: PostgresServer | None = None

    def __post_init__(self) -> None:
        self.campaign: Small = small(trials_per_cell=2)
        self._template = write_folder(self.campaign, self.folder / "template")
        self._database = None if self.server is None else self.server.make_database()
        url = None if self.server is None or self._database is None else self.server.url(self._database)
        EvaluationStore.create(self._template, self.campaign.plan, self.campaign.secrets, url).close()
        self._numbers = itertools.count()
        self._current = ""

    def fresh(self) -> Path:
        """The folder of another one."""
        folder = self.folder / f"campaign {next(self._numbers)}"
        shutil.copytree(self._template, folder)
        if self.server is not None:
            self._current = self.server.make_database(like=self._database)
            write_url(folder, self.server.url(self._current))
        return folder

    def discard(self, folder: Path) -> None:
        """Throw the last one away."""
        shutil.rmtree(folder)
        if self.server is not None:
            self.server.drop_database(self._current)


def kill_at_steps(campaigns: Campaigns, kills: int, seed: int = 0, stride: int = 1) -> CrashRow:
    """Kill at every step (or every `stride`-th), one after the other: opening, writing, committing, head.json."""
    row = _row(campaigns, "the service, before and after every call into database and system")
    names: set[str] = set()
    steps = {True: 0, False: 0}
    for life, witness in _lives(campaigns, row, kills, seed):
        # In turns: while it opens the campaign, and after that.
        late = row.kills % 2 == 0
        told = _run(replace(life, step=steps[late], late=late), ())
        names.update(one.text for one in told if one.what == "step")
        # A life that is over before this step: begin again.
        steps[late] = steps[late] + stride if told and told[-1].what == "step" else steps[late] % stride + 1
        _take(told, witness)
    row.steps = len(names)
    return row


def kill_at_any_moment(campaigns: Campaigns, kills: int, seed: int = 0) -> CrashRow:
    """Kill at random moments, also inside the database's own code."""
    row = _row(campaigns, "the service, at any moment")
    rng = random.Random(seed)  # noqa: S311  (not for secrets)
    for life, witness in _lives(campaigns, row, kills, seed):
        kill = Disturbance(rng.randrange(8), rng.uniform(0, 0.01), _kill)
        _take(_run(life, [kill]), witness)
    return row


def kill_the_server(campaigns: Campaigns, kills: int, seed: int = 0) -> CrashRow:
    """Kill PostgreSQL's own processes, all at once, under a service that goes on."""
    server = _server(campaigns)

    def kill(_: int) -> None:
        server.kill()
        server.start()

    row = _row(campaigns, "PostgreSQL's server, at any moment; the service goes on")
    return _disturb(campaigns, row, kills, seed, kill, 0.15)


def cut_connections(campaigns: Campaigns, kills: int, seed: int = 0) -> CrashRow:
    """Have PostgreSQL end the service's session, also in the middle of a commit."""
    server = _server(campaigns)

    def cut(_: int) -> None:
        others = "usename = current_user AND pid <> pg_backend_pid()"
        server.query("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608

    row = _row(campaigns, "the connection to PostgreSQL, at any moment; the service goes on")
    return _disturb(campaigns, row, kills, seed, cut, 0.04)


def _disturb(
    campaigns: Campaigns, row: CrashRow, kills: int, seed: int, action: Callable[[int], None], within_s: float
) -> CrashRow:
    rng = random.Random(seed)  # noqa: S311  (not for secrets)

    def disturb(pid: int) -> None:
        action(pid)
        row.kills += 1

    def disturbances() -> Iterator[Disturbance]:
        while row.kills < kills:
            yield Disturbance(0, rng.uniform(0, within_s), disturb)

    for life, witness in _lives(campaigns, row, kills, seed, moves=10_000):
        told = _run(life, disturbances())
        row.kills -= 1
        _take(told, witness)
    return row


def _lives(
    campaigns: Campaigns, row: CrashRow, kills: int, seed: int, moves: int = 4
) -> Iterator[tuple[Life, Witness]]:
    """One life after the other, in one campaign after the other, until there were as many kills."""
    started = time.monotonic()
    rng = random.Random(seed)  # noqa: S311  (not for secrets)
    while row.kills < kills:
        folder, witness = campaigns.fresh(), Witness()
        while row.kills < kills and not witness.complete and not witness.wrong:
            key = rng.choice(sorted(witness.answers)) if witness.answers and rng.random() < 0.2 else None
            yield (
                Life(
                    folder=folder,
                    secrets=campaigns.campaign.secrets,
                    seed=rng.getrandbits(40),
                    known=len(witness.log),
                    unanswered=witness.unanswered,
                    answered=None if key is None else witness.asked[key],
                    answered_seq=0 if key is None else witness.answers[key],
                    step=-1,
                    late=False,
                    moves=moves,
                ),
                witness,
            )
            row.kills += 1
            if row.kills % VERIFY_EVERY == 0:
                _verify(folder, witness)
        _verify(folder, witness)
        row.campaigns += witness.complete
        row.commands += len(witness.answers)
        row.recorded += witness.resolved[True]
        row.not_recorded += witness.resolved[False]
        row.wrong += witness.wrong
        campaigns.discard(folder)
    row.seconds = time.monotonic() - started


def _run(life: Life, disturbances: Iterable[Disturbance]) -> list[Told]:
    """Fork a process that lives, and hear it to its end.

    Args:
        life: What it does.
        disturbances: What is done to it, one after the other.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_a_child(life, writing)
    os.close(writing)
    try:
        content = _hear(pid, reading, iter(disturbances))
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            _kill(pid)
        _, status = os.waitpid(pid, 0)
    told = list(_messages(content))
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        told.append(Told("wrong", text="a process ended with an error"))
    return told


def _hear(pid: int, reading: int, disturbances: Iterator[Disturbance]) -> bytes:
    """Everything that comes through a pipe until its other end is closed, disturbing meanwhile."""
    content = bytearray()
    never = Disturbance(0, LONGEST_S, _kill)
    disturbance, blocks = next(disturbances, never), 0
    due = time.monotonic() + disturbance.wait_s
    while True:
        patience_s = LONGEST_S if blocks < disturbance.blocks else max(0.0, due - time.monotonic())
        if select.select([reading], [], [], patience_s)[0]:
            block = os.read(reading, 1 << 16)
            if not block:
                return bytes(content)
            content += block
            blocks += 1
            if blocks == disturbance.blocks:
                due = time.monotonic() + disturbance.wait_s
        else:
            disturbance.action(pid)
            disturbance, blocks = next(disturbances, never), 0
            due = time.monotonic() + disturbance.wait_s


def _be_a_child(life: Life, writing: int) -> NoReturn:
    """Live and end, whatever happens, without ever returning into the parent's code."""
    status = 1
    try:
        live(life, writing)
        status = 0
    except EvaluationError as error:
        content = msgspec.msgpack.encode(Told("wrong", text=f"{type(error).__name__}: {error}"))
        os.write(writing, len(content).to_bytes(4, "big") + content)
        status = 0
    except BaseException:  # noqa: BLE001  (a forked process: nobody else would say it)
        traceback.print_exc()
    finally:
        os._exit(status)


def _messages(content: bytes) -> Iterator[Told]:
    decoder = msgspec.msgpack.Decoder(Told)
    while len(content) >= 4 and len(content) >= (end := 4 + int.from_bytes(content[:4], "big")):
        yield decoder.decode(content[4:end])
        content = content[end:]


def _take(told: list[Told], witness: Witness) -> None:
    for one in told:
        witness.hear(one)


def _verify(folder: Path, witness: Witness) -> None:
    try:
        verified = verify(folder)
    except EvaluationError as error:
        witness.wrong.append(f"verify: {error}")
        return
    if verified.head.seq < len(witness.log):
        witness.wrong.append(f"lost: verify saw {verified.head.seq} events, expected {len(witness.log)}")


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _row(campaigns: Campaigns, how: str) -> CrashRow:
    return CrashRow("SQLite" if campaigns.server is None else "PostgreSQL", how)


def _server(campaigns: Campaigns) -> PostgresServer:
    if campaigns.server is None:
        raise ValueError("campaigns: expected PostgreSQL, got SQLite")
    return campaigns.server
