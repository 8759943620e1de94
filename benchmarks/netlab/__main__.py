"""Two network namespaces with a path between them, to try things by hand: `python -m unichunk.benchmarks.netlab`.

Prints how to run commands at either end, and carries until Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass

import tyro

from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.netlab.conditions import FASTEST_BIT_S, BadConditions, Conditions
from unichunk.benchmarks.netlab.laboratory import Laboratory, LaboratoryUnavailable


@dataclass
class Options:
    """A network path with delay, jitter, loss and a rate; each direction has half of delay and jitter."""

    delay: float = 0.0
    """Round trip, in milliseconds."""
    jitter: float = 0.0
    """By how much the round trip takes more or less at most, in milliseconds."""
    loss: float = 0.0
    """Share of the packets lost in each direction."""
    rate: float = FASTEST_BIT_S / 1e6
    """Megabits a second in each direction."""
    outage_every: float = 0.0
    """Seconds from one outage to the next; 0: none."""
    outage: float = 10.0
    """Seconds that an outage lasts."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, description=__doc__)
    try:
        half = Conditions.of_round_trip(options.delay / 1e3, options.jitter / 1e3, options.loss)
        conditions = Conditions(half.delay_s, half.jitter_s, half.loss, options.rate * 1e6)
    except BadConditions as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from None
    with ended_by_signals("netlab"):
        try:
            laboratory = Laboratory()
        except LaboratoryUnavailable as problem:
            print(f"netlab: {problem}", file=sys.stderr)
            raise SystemExit(3) from None
        with laboratory:
            _keep(laboratory, conditions, options)


def _keep(laboratory: Laboratory, conditions: Conditions, options: Options) -> None:
    """Until a signal ends it."""
    laboratory.change(conditions)
    print(f"carried by: {laboratory.how}")
    for name, place in (("near", laboratory.near), ("far", laboratory.far)):
        print(f"{name}: {place.address}: {' '.join(place.command(['COMMAND']))}", flush=True)
    while options.outage_every:
        laboratory.cut(options.outage_every, options.outage)
        time.sleep(options.outage_every + options.outage)
    signal.pause()


if __name__ == "__main__":
    main()
