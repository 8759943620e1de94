"""Which states belong together."""

from __future__ import annotations

from typing import Final

from unichunk.server.evaluation.ledger.trial import TrialState

ON_A_ROBOT: Final = frozenset(
    {TrialState.LEASED, TrialState.ARMED, TrialState.RUNNING, TrialState.AWAITING_SCORE},
)
"""A robot is set up for the trial: it can be for one at a time."""

HELD: Final = ON_A_ROBOT | {TrialState.INTERRUPTED}
"""An operator has the trial in hand: one at a time, until it is scored, void or given back."""
