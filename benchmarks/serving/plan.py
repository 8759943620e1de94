"""What is measured for how long: cells of cases that take turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unichunk.benchmarks.serving.policies import PAUSE_S


@dataclass(frozen=True)
class Case:
    """Who asks whom for what.

    Attributes:
        server: `openpi` (the stand-in), `unichunk` or `pyzmq` (bare bytes).
        client: As tables show it.
        policy: What is asked.
        kind: Which client, see `clients`.
        transport: For our own client: ws, zmq, ipc or shm.
    """

    server: str
    client: str
    policy: str
    kind: str
    transport: str = ""

    @property
    def name(self) -> str:
        """Unique among cases."""
        return f"{self.server}, {self.client}, {self.policy}"


OPENPI: Final = Case("openpi", "openpi-client", "noop", "openpi")
UNICHUNK: Final = Case("unichunk", "openpi-client", "noop", "openpi")
GROOT: Final = Case("unichunk", "GR00T over ZeroMQ", "noop", "groot")
ECHO: Final = Case("pyzmq", "echo of the request", "none", "echo")
FLOOR: Final = Case("pyzmq", "as many bytes there and back", "none", "echo")
EMPTY_OPENPI: Final = Case("unichunk", "openpi-client", "empty bundle", "openpi")
LEAN: Final = {
    transport: Case("unichunk", client, "empty bundle", "lean", transport)
    for transport, client in (
        ("ws", "lean, WebSocket"),
        ("zmq", "lean, ZeroMQ over tcp"),
        ("ipc", "lean, ZeroMQ over ipc"),
        ("shm", "lean, ipc and shared memory"),
    )
}
OPENPI_SLEEPING: Final = Case("openpi", "openpi-client", "sleeping", "openpi")
UNICHUNK_SLEEPING: Final = Case("unichunk", "openpi-client", "sleeping", "openpi")
UNICHUNK_BATCH: Final = Case("unichunk", "openpi-client", "sleeping_batch", "openpi")

NOOP_CASES: Final = (OPENPI, UNICHUNK, GROOT, ECHO, FLOOR)
BUNDLE_CASES: Final = (EMPTY_OPENPI, *LEAN.values())
SLEEPING_CASES: Final = (OPENPI_SLEEPING, UNICHUNK_SLEEPING)

COMPARED: Final = (
    (UNICHUNK, OPENPI),
    (UNICHUNK, FLOOR),
    (OPENPI, FLOOR),
    (GROOT, OPENPI),
    (UNICHUNK_SLEEPING, OPENPI_SLEEPING),
    (UNICHUNK_BATCH, OPENPI_SLEEPING),
    *((case, EMPTY_OPENPI) for case in LEAN.values()),
)
"""Which case stands above which in a ratio."""


@dataclass(frozen=True)
class Cell:
    """Cases under the same number of clients, round by round in turn.

    Attributes:
        clients: How many, each with one request at a time.
        cases: Which.
        seconds: For how long a round of a case counts, [s].
        rounds: How many.
        lead_s: How long it runs before that, [s].
        felt: Whether what others feel is measured meanwhile.
        pause_s: What the policy takes for each request, to tell how long the cell lasts, [s].
    """

    clients: int
    cases: tuple[Case, ...]
    seconds: float
    rounds: int
    lead_s: float = 0.1
    felt: bool = False
    pause_s: float = 0.0

    @property
    def warm(self) -> bool:
        """Whether each client asks once before: only where it costs no time that is worth speaking of."""
        return self.pause_s == 0.0


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        cells: One after the other.
        beside_rounds: Rounds of one client of a no-op policy beside many of one that sleeps.
        beside_s: How long each of them counts, [s].
    """

    cells: tuple[Cell, ...]
    beside_rounds: int
    beside_s: float

    def seconds(self) -> float:
        """About how long it takes, servers and environments not included, [s]."""
        total = 0.0
        for cell in self.cells:
            connecting_s = 0.1 + 0.008 * cell.clients
            # The last requests are still answered after the end.
            ending_s = cell.clients * cell.pause_s
            total += cell.rounds * len(cell.cases) * (connecting_s + cell.lead_s + cell.seconds + ending_s)
        return total + 2 * self.beside_rounds * (self.beside_s + 3.0)


FULL: Final = Plan(
    (
        Cell(1, NOOP_CASES, 0.6, 6),
        Cell(8, (OPENPI, UNICHUNK, GROOT, FLOOR), 0.6, 6),
        Cell(64, (OPENPI, UNICHUNK, GROOT, FLOOR), 0.8, 6, felt=True),
        Cell(1, BUNDLE_CASES, 0.4, 6),
        Cell(8, BUNDLE_CASES, 0.5, 6),
        Cell(64, (EMPTY_OPENPI, LEAN["ws"], LEAN["zmq"]), 0.8, 6),
        Cell(1, SLEEPING_CASES, 2.6, 6, pause_s=PAUSE_S),
        Cell(8, (*SLEEPING_CASES, UNICHUNK_BATCH), 2.6, 6, pause_s=PAUSE_S),
        Cell(64, (*SLEEPING_CASES, UNICHUNK_BATCH), 2.6, 6, felt=True, pause_s=PAUSE_S),
    ),
    beside_rounds=3,
    beside_s=3.0,
)
QUICK: Final = Plan(
    (
        Cell(1, (OPENPI, UNICHUNK, GROOT, FLOOR), 0.3, 2),
        Cell(8, (OPENPI, UNICHUNK, FLOOR), 0.3, 2),
        Cell(64, (OPENPI, UNICHUNK), 0.4, 2, felt=True),
        Cell(1, BUNDLE_CASES, 0.2, 2),
        Cell(1, SLEEPING_CASES, 0.5, 2, pause_s=PAUSE_S),
        Cell(8, SLEEPING_CASES, 0.3, 2, pause_s=PAUSE_S),
        Cell(64, (*SLEEPING_CASES, UNICHUNK_BATCH), 1.0, 1, felt=True, pause_s=PAUSE_S),
    ),
    beside_rounds=1,
    beside_s=1.0,
)
