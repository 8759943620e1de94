"""One visit to a case: a short live run, and what it gave."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.stages import stage
from unichunk.benchmarks.stages.live_run import LiveRun
from unichunk.benchmarks.stages.warm_up import WINDOW, WarmUp, warm_up
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.realtime import realtime_process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.benchmarks.stages.subject import Subject


@dataclass(frozen=True)
class Visit:
    """What a visit gave.

    Attributes:
        times: Stage -> a time for each chunk, [ms].
        chunks: Chunks made.
        late: Those that lost rows of their own, because they came later than was committed.
        lost: Those that came too late for every row.
        chunks_per_s: Back to back.
        begun_s, ended_s: When it was, [s], monotonic.
        missing: What the system did not permit of the real-time settings, a line each.
    """

    times: Mapping[str, Sequence[float]]
    chunks: int
    late: int
    lost: int
    chunks_per_s: float
    begun_s: float
    ended_s: float
    missing: Sequence[str]

    def p50(self, name: str) -> float:
        """Median of a stage, [ms]."""
        return median(self.times[name])


class Visitor:
    """Visits one case.

    Args:
        subject: The case.
        estimator: What chooses the delay, as the visit before left it; a new one where left out.
    """

    def __init__(self, subject: Subject, estimator: DelayEstimator | None = None) -> None:
        self._subject = subject
        self.estimator = estimator or self._new_estimator()

    def warm_up(self, endpoint: str, longest_s: float) -> WarmUp:
        """Infer until times are steady; see `warm_up`."""
        with realtime_process(lock_memory=False), LiveRun(self._subject, endpoint, self.estimator) as run:
            result = warm_up(run.infer, longest_s, time.monotonic)
        # As the runtime does: cold inferences do not choose the delay.
        self.estimator = self._new_estimator()
        for record, _ in run.records[-WINDOW:]:
            commitment = record.commitment
            age_ns = commitment.begun_ns - commitment.stamp_ns
            self.estimator.observe(age_ns / 1e9, (record.latency_ns - age_ns) / 1e9)
        return result

    def visit(self, endpoint: str, chunks: int) -> Visit:
        """Make so many chunks while the robot follows, and then as many back to back.

        One before them does not count: caches are full of the case that was visited before.
        """
        begun_s = time.monotonic()
        with realtime_process(lock_memory=False) as missing:
            with LiveRun(self._subject, endpoint, self.estimator) as run:
                run.infer()
                run.forget()
                for _ in range(chunks):
                    run.infer()
                run.note_first_commands()
                chunks_per_s = run.back_to_back(chunks)
            lines = list(missing)
        records = [record for record, _ in run.records]
        return Visit(
            times=run.times,
            chunks=len(records),
            late=sum(record.dropped > 0 for record in records),
            lost=sum(record.lost for record in records),
            chunks_per_s=chunks_per_s,
            begun_s=begun_s,
            ended_s=time.monotonic(),
            missing=lines,
        )

    def _new_estimator(self) -> DelayEstimator:
        return DelayEstimator(self._subject.robot.action_hz, self._subject.robot.delay_margin_ticks)


def counts(visits: Sequence[Visit]) -> dict[str, Any]:
    """What became of all chunks of a case."""
    sent = sum(len(visit.times.get(stage.FIRST_COMMAND, ())) for visit in visits)
    chunks, lost = sum(visit.chunks for visit in visits), sum(visit.lost for visit in visits)
    return {
        "chunks": chunks,
        "late": sum(visit.late for visit in visits),
        "lost": lost,
        "overtaken": chunks - lost - sent,
    }
