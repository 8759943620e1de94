"""What a run looks like while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.runtime.outcome import RunState


@dataclass(frozen=True)
class RunStatus:
    """A snapshot for people to look at; taken a few times a second by the supervisor.

    Attributes:
        state: The supervisor's state.
        note: What it is busy with, or what is wrong.
        elapsed_s: Time in RUNNING so far, [s].
        ticks: Ticks executed.
        underruns: Ticks without a policy row.
        violations: Executed rows whose chunk was conditioned on something else than what ran.
        delay: d in use, [ticks].
        chunk_latency_ms: Median from capture to readable rows, [ms].
        lateness_us: Median and 99th percentile of the control thread's lateness, [us].
        command_hz: Commands sent per second since the last snapshot.
        chunk_hz: Chunks per second since the last snapshot.
        guard_interventions: Commands that the guard changed.
    """

    state: RunState
    note: str
    elapsed_s: float
    ticks: int
    underruns: int
    violations: int
    delay: int
    chunk_latency_ms: float
    lateness_us: tuple[float, float]
    command_hz: float
    chunk_hz: float
    guard_interventions: int
