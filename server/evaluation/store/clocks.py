"""When something happened, by two clocks: one that people can set, one that nobody can."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Instant:
    """A moment.

    Attributes:
        at_ns: UTC, [ns].
        boot: Which boot of the machine `mono_ns` counts from; empty where the system does not say.
        mono_ns: Monotonic clock, [ns].
    """

    at_ns: int
    boot: str
    mono_ns: int


def now() -> Instant:
    """This moment."""
    return Instant(time.time_ns(), _boot(), time.monotonic_ns())


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
