"""A trial that a policy drives: what belongs to it and ends with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from unichunk.server.evaluation.blinding.episodes import EpisodeRecorder
    from unichunk.server.evaluation.blinding.hidden_policy import HiddenPolicy
    from unichunk.server.evaluation.blinding.seat import Seat
    from unichunk.server.evaluation.blinding.trial_rows import TrialRows


@dataclass(eq=False)
class DrivenTrial:
    """One at a time at a robot; identity tells a chunk of an older one.

    Attributes:
        id: Opaque.
        instruction: What the policy is told.
        seed: Drawn for this trial.
        seat: The policy's.
        policy: The connection that it began with.
        rows: Its rows.
        recorder: Of the episode; None where none is kept.
        watch: Ends the trial where the policy stays silent; None while it is not waited for.
        begun_at: When the policy began to drive, monotonic, [s].
    """

    id: str
    instruction: str
    seed: int
    seat: Seat
    policy: HiddenPolicy
    rows: TrialRows
    recorder: EpisodeRecorder | None
    watch: asyncio.TimerHandle | None
    begun_at: float
