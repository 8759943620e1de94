"""All that is measured of blinded evaluation, one part after the other."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.benchmarks.evaluated.crashes import (
    Campaigns,
    cut_connections,
    kill_at_any_moment,
    kill_at_steps,
    kill_the_server,
)
from unichunk.benchmarks.evaluated.leaks import measure as measure_leaks
from unichunk.benchmarks.evaluated.operating import operating_characteristics
from unichunk.benchmarks.evaluated.postgres_server import PostgresServer, PostgresUnavailable
from unichunk.benchmarks.evaluated.randomizations import measure as measure_randomizations
from unichunk.benchmarks.evaluated.tampering import measure as measure_tampering
from unichunk.benchmarks.harness.document import not_measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from unichunk.benchmarks.evaluated.crashes import CrashRow


@dataclass(frozen=True)
class Kills:
    """How many of every kind.

    Attributes:
        sqlite_steps: Half of them while the campaign is opened (about 700 steps), half after that (about 300).
        postgresql_steps: The same; about 400 steps and 250.
        stride: Of 2, every other step is one to be killed at.
        moments: At any moment, with each database.
        cuts: Of connections to PostgreSQL.
        servers: Of PostgreSQL's own processes; each takes a recovery.
    """

    sqlite_steps: int
    postgresql_steps: int
    stride: int
    moments: int
    cuts: int
    servers: int


FULL: Final = Kills(sqlite_steps=1600, postgresql_steps=900, stride=1, moments=500, cuts=100, servers=25)
QUICK: Final = Kills(sqlite_steps=30, postgresql_steps=30, stride=37, moments=30, cuts=4, servers=2)


def measure(parts: Sequence[str], *, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure parts.

    Args:
        parts: Which.
        quick: Fewer of everything.
        say: Told what is measured.

    Returns:
        For each part, plain values: rows, or tables of rows.
    """
    measured: dict[str, Any] = {}
    for part in parts:
        say(part)
        began = time.monotonic()
        measured[part] = msgspec.to_builtins(_MEASURES[part](quick))
        say(f"  {time.monotonic() - began:.0f} s")
    return measured


def _operating(quick: bool) -> Any:  # noqa: FBT001  (as all of them)
    return operating_characteristics(quick=quick)


def _randomizations(quick: bool) -> Any:  # noqa: FBT001
    return measure_randomizations(quick=quick)


def _leaks(quick: bool) -> Any:  # noqa: FBT001
    return measure_leaks(quick=quick)


def _tampering(quick: bool) -> Any:  # noqa: FBT001
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder:
        return measure_tampering(Path(folder), quick=quick)


def _crashes(quick: bool) -> Any:  # noqa: FBT001
    kills = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder:
        rows: list[Any] = [
            kill_at_steps(Campaigns(_made(folder, "steps")), kills.sqlite_steps, stride=kills.stride),
            kill_at_any_moment(Campaigns(_made(folder, "moments")), kills.moments),
        ]
        try:
            rows += _postgres_crashes(folder, kills)
        except PostgresUnavailable as error:
            rows.append({"database": "PostgreSQL", **not_measured(str(error))})
        return rows


def _postgres_crashes(folder: str, kills: Kills) -> Iterator[CrashRow]:
    server = PostgresServer()
    try:
        campaigns = Campaigns(_made(folder, "pg steps"), server)
        yield kill_at_steps(campaigns, kills.postgresql_steps, stride=kills.stride)
        yield kill_at_any_moment(Campaigns(_made(folder, "pg moments"), server), kills.moments)
        yield cut_connections(Campaigns(_made(folder, "pg cuts"), server), kills.cuts)
        yield kill_the_server(Campaigns(_made(folder, "pg kills"), server), kills.servers)
    finally:
        server.stop()


def _made(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


_MEASURES: Final[dict[str, Callable[[bool], Any]]] = {
    "operating": _operating,
    "randomizations": _randomizations,
    "leaks": _leaks,
    "crashes": _crashes,
    "tampering": _tampering,
}
