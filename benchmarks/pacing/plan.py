"""What is measured for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unichunk.benchmarks.pacing.loops import LOOPS

LOADS: Final = {
    "idle": "nothing else runs",
    "inference": "the shipped generalist's graphs run back to back in another thread (ONNX Runtime, 1 thread)",
    "inference_python": "the same, and before each inference that thread normalizes a 96 x 96 image in plain Python",
    "foreign": "one other process of ordinary priority is busy for each core",
}
FASTEST_HZ: Final = 2000
WARM_UP_S: Final = 0.1
ROUNDS: Final = 6
"""The fewest that give a ratio its 95 % interval."""

SECONDS: Final = {10: 0.6, 50: 0.4, 100: 0.85, 250: 0.4, 500: 1.7, 1000: 0.9}
"""Rate -> seconds a round, for fourteen minutes in all.

Over six rounds p99.9 has its 5000 intervals at 500 and 1000 Hz, p99 its 500 at 100 and 250 Hz; one round has the 500
that a ratio of p99 takes at 500 and 1000 Hz only. At 10 Hz p99 would take 50 s for each loop and load: 17 minutes.
"""
OTHER_SECONDS: Final = 1.0
QUICK_ROUNDS: Final = 2
QUICK_RATES: Final = (500,)
QUICK_SECONDS: Final = 2.0


class BadPlan(ValueError):
    """An option makes no sense; one line says which."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        loops: Their names.
        loads: Their names.
        rates: [Hz].
        rounds: Repetitions that count.
        seconds: Seconds a round, for every rate.
    """

    loops: tuple[str, ...]
    loads: tuple[str, ...]
    rates: tuple[int, ...]
    rounds: int
    seconds: dict[int, float]


def make_plan(
    *,
    loops: tuple[str, ...],
    loads: tuple[str, ...],
    rates: tuple[int, ...],
    rounds: int | None,
    duration_s: float | None,
    quick: bool,
) -> Plan:
    """The plan that options ask for; what they leave out is chosen.

    Raises:
        BadPlan: A name or number that makes no sense.
    """
    rates = rates or (QUICK_RATES if quick else tuple(SECONDS))
    rounds = (QUICK_ROUNDS if quick else ROUNDS) if rounds is None else rounds
    loops, loads = loops or tuple(LOOPS), loads or tuple(LOADS)
    _known("--loops", loops, tuple(LOOPS))
    _known("--loads", loads, tuple(LOADS))
    wrong = [rate for rate in rates if not 1 <= rate <= FASTEST_HZ]
    if wrong:
        raise BadPlan(f"--rates: expected rates from 1 to {FASTEST_HZ} Hz, got {wrong[0]}")
    if rounds < 1:
        raise BadPlan(f"--rounds: expected at least 1, got {rounds}")
    if duration_s is not None and not 0 < duration_s <= 3600:
        raise BadPlan(f"--duration: expected more than 0 and at most 3600 s, got {duration_s:g}")

    def seconds(rate: int) -> float:
        if duration_s is not None:
            return duration_s
        return QUICK_SECONDS if quick else SECONDS.get(rate, OTHER_SECONDS)

    return Plan(
        loops=tuple(dict.fromkeys(loops)),
        loads=tuple(dict.fromkeys(loads)),
        rates=tuple(dict.fromkeys(rates)),
        rounds=rounds,
        seconds={rate: seconds(rate) for rate in rates},
    )


def _known(option: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise BadPlan(f"{option}: unknown name {name!r}; expected some of {', '.join(known)}")
