"""Carries packets between two TUN devices in user space, by the schedules of two pipes."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from random import Random
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.netlab.conditions import Conditions
from unichunk.benchmarks.netlab.pipe import NOTHING, Counters, Pipe
from unichunk.runtime.histogram import TimeHistogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.netlab.conditions import Outage

LARGEST: Final = 65_536
MOST_AT_ONCE: Final = 64
"""Packets read of one device before what is due is handed on."""

DIRECTIONS: Final = ("near to far", "far to near")


class Relay:
    """A `Carrier` between two TUN devices.

    Args:
        near: File of one device, not blocking.
        far: File of the other one.
        seed: Of what is lost and by how much delays differ.
    """

    def __init__(self, near: int, far: int, seed: int) -> None:
        self._out = {near: far, far: near}
        self._pipes = {file: Pipe(Conditions(), Random(seed * 2 + side)) for side, file in enumerate((near, far))}  # noqa: S311
        self._lateness = TimeHistogram(width_us=1)
        self._refused = 0

    @property
    def files(self) -> Sequence[int]:
        """Both devices."""
        return list(self._out)

    @property
    def next_ns(self) -> int:
        """When the next packet is due."""
        return min((pipe.next_ns for pipe in self._pipes.values() if pipe.next_ns != NOTHING), default=NOTHING)

    def step(self, readable: Sequence[int]) -> None:
        """Take in what came, hand on what is due."""
        for file in readable:
            self._take(file)
        for file, pipe in self._pipes.items():
            self._hand_on(pipe, self._out[file])

    def change(self, conditions: Conditions) -> None:
        """Both pipes get them; what is on its way already keeps its time."""
        for pipe in self._pipes.values():
            pipe.conditions = conditions

    def cut(self, outage: Outage) -> None:
        """Both pipes."""
        for pipe in self._pipes.values():
            pipe.outage = outage

    def statistics(self) -> dict[str, Any]:
        """By direction, and how late packets were handed on, [us]."""
        found: dict[str, Any] = {
            name: asdict(pipe.counters) for name, pipe in zip(DIRECTIONS, self._pipes.values(), strict=True)
        }
        late = self._lateness
        found["lateness_us"] = {"p50": late.percentile(0.5), "p99": late.percentile(0.99), "max": late.maximum}
        found["refused_by_device"] = self._refused
        return found

    def forget(self) -> None:
        """Count anew."""
        for pipe in self._pipes.values():
            pipe.counters = Counters()
        self._lateness, self._refused = TimeHistogram(width_us=1), 0

    def _take(self, file: int) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                packet = os.read(file, LARGEST)
            except BlockingIOError:
                return
            self._pipes[file].take(time.monotonic_ns(), packet)

    def _hand_on(self, pipe: Pipe, out: int) -> None:
        while (due := pipe.hand_on(now_ns := time.monotonic_ns())) is not None:
            self._lateness.add(now_ns - due[0])
            try:
                os.write(out, due[1])
            except OSError:
                # A device that is full, or not up: a packet is lost, as on any network.
                self._refused += 1
