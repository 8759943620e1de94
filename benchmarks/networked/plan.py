"""Which networks are tried, with which transport, for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from unichunk.benchmarks.netlab.conditions import Conditions

Where = Literal["local", "loopback", "path"]
Transport = Literal["none", "ws", "zmq"]

NO_DELAY: Final = Conditions()
TRANSPORTS: Final[tuple[Transport, ...]] = ("ws", "zmq")


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        name: As tables show it.
        where: No server at all, a server on the same host, or one at the other end of the path.
        conditions: Of each direction of the path.
        outage_s: How long nothing passes in the middle of the run, [s].
    """

    name: str
    where: Where = "path"
    conditions: Conditions = NO_DELAY
    outage_s: float = 0.0


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        network: Where its policy is.
        transport: What it speaks.
        duration_s: How long it runs, [s].
    """

    network: Network
    transport: Transport
    duration_s: float


LOCAL: Final = Network("the policy is here", "local")
LOOPBACK: Final = Network("loopback", "loopback")
DELAYS_MS: Final = (5, 20, 50, 100, 200)
DELAYED: Final = tuple(Network(f"{delay} ms", conditions=Conditions.of_round_trip(delay / 1e3)) for delay in DELAYS_MS)
JITTER: Final = Network("50 ms +- 20 ms", conditions=Conditions.of_round_trip(0.05, 0.02))
LOSS: Final = Network("50 ms, 5 % lost", conditions=Conditions.of_round_trip(0.05, loss=0.05))
OUTAGE: Final = Network("50 ms, 10 s cut off", conditions=Conditions.of_round_trip(0.05), outage_s=10.0)
SHORT_OUTAGE: Final = Network("50 ms, 3 s cut off", conditions=Conditions.of_round_trip(0.05), outage_s=3.0)
NETWORKS: Final = (LOCAL, LOOPBACK, *DELAYED, JITTER, LOSS, OUTAGE)

FULL_S: Final = 22.0
OUTAGE_S: Final = 40.0
QUICK_S: Final = 8.0
QUICK_OUTAGE_S: Final = 10.0


def cells(*, quick: bool) -> tuple[Cell, ...]:
    """What is run, in order.

    Args:
        quick: Three cells: delay, loss, a short outage.
    """
    if quick:
        fifty = next(network for network in DELAYED if network.conditions.delay_s == 0.025)
        return (
            Cell(fifty, "ws", QUICK_S),
            Cell(LOSS, "zmq", QUICK_S),
            Cell(SHORT_OUTAGE, "ws", QUICK_OUTAGE_S),
        )
    return tuple(
        Cell(network, transport, OUTAGE_S if network.outage_s else FULL_S)
        for network in NETWORKS
        for transport in (("none",) if network.where == "local" else TRANSPORTS)
    )
