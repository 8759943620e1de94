"""What a run was asked to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """What a run was asked to be.

    Attributes:
        instruction: What the robot shall do.
        duration_s: How long to run, [s]; None: until it is stopped.
        replan_below: Start an inference only when fewer rows remain; None: as often as possible.
        recovery_s: How long to wait for a lost driver or sensor before giving up, [s].
        recoveries: How often that may happen before the run ends.
        rejected_chunks: Chunks in a row that the policy may spoil before the run ends.
        starved_s: How long the robot may be without a usable chunk before the run ends, [s].
        outage_s: How long the answers of a policy somewhere else may be missing before the run ends, where that is
            longer, [s]; 0 for one that is here.
        thought_gap_s: Least time from one thought to the next, of a policy that writes text before it acts, [s].
        thought_patience_s: How old an observation may become by thinking before it is acted on, beyond one slice from
            chunk to chunk, [s].
    """

    instruction: str = ""
    duration_s: float | None = None
    replan_below: int | None = None
    recovery_s: float = 5.0
    recoveries: int = 10
    rejected_chunks: int = 5
    starved_s: float = 5.0
    outage_s: float = 0.0
    thought_gap_s: float = 1.0
    thought_patience_s: float = 0.0
