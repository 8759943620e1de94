"""How far a campaign is, read from its records while it runs or not; nothing per policy."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from unichunk.server.evaluation.drives import Drives
from unichunk.server.evaluation.leases import Leases
from unichunk.server.evaluation.shown import Shown
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.views import CampaignStatus

if TYPE_CHECKING:
    from pathlib import Path


def campaign_status(folder: Path) -> CampaignStatus:
    """Read a campaign's records.

    Args:
        folder: Of the campaign.

    Raises:
        NotFound, StoreUnavailable: Where there is none, or its database cannot be reached.
        Tampered: Where the records contradict each other.
    """
    store = EvaluationStore.open(folder)
    try:
        book = store.book
        shown = Shown(book, Drives(time.monotonic), Leases(time.monotonic, store.plan.campaign.rules.lease_s))
        states = Counter(trial.state.value for trial in book.trials.values())
        return CampaignStatus(
            campaign=store.plan.campaign.name,
            campaign_id=store.plan.campaign_id,
            commitment=store.plan.commitment,
            frozen_at=store.plan.frozen_at,
            scored=len(book.judged),
            total=len(store.plan.slots),
            states=dict(sorted(states.items())),
            layouts=shown.layouts(),
            tasks=shown.tasks(),
            complete=book.complete,
            opened=book.opened,
            ended="" if book.ended is None else f"by {book.ended.by}: {book.ended.reason!r}",
            head=str(store.head()),
        )
    finally:
        store.close()


def status_lines(status: CampaignStatus) -> list[str]:
    """The same for people."""
    sealed = "complete, sealed" if status.complete else "sealed" if status.ended else "running"
    state = "opened" if status.opened else sealed
    if status.ended:
        state += f"; ended early {status.ended}"
    states = ", ".join(f"{count} {name}" for name, count in status.states.items())
    lines = [
        f"{status.campaign} ({status.campaign_id}): {status.scored} of {status.total} trials scored; {state}",
        f"  frozen {status.frozen_at}, commitment {status.commitment}",
        f"  trials: {states}",
    ]
    width = max(len(one.name) for one in (*status.layouts, *status.tasks))
    lines += [f"  layout {one.name:{width}}  {one.scored} of {one.total}" for one in status.layouts]
    if len(status.tasks) > 1:
        lines += [f"  task   {one.name:{width}}  {one.scored} of {one.total}" for one in status.tasks]
    lines.append(f"head of the log, to be kept elsewhere (unichunk eval verify --head): {status.head}")
    return lines
