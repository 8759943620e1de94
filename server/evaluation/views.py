"""What people see of a campaign that runs: white-listed fields, none of which depends on the policy."""

from __future__ import annotations

import msgspec


class _View(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Progress(_View, frozen=True, kw_only=True):
    """How far a layout, a task or the campaign is; never a policy.

    Attributes:
        name: Of the layout or task.
        scored: Trials that count.
        total: How many are needed.
    """

    name: str
    scored: int
    total: int


class RobotStatus(_View, frozen=True, kw_only=True):
    """A robot, as it is now.

    Attributes:
        name: Its name.
        connected: Whether it asks for joint targets.
        last_seen_s: How long ago it did so last, [s].
        mode: `hold`, `home` or `run`.
        at_home: Whether it is in its start pose.
        operator: Who has it; empty: it is free.
        cameras: Names of its cameras.
    """

    name: str
    connected: bool
    last_seen_s: float
    mode: str
    at_home: bool
    operator: str = ""
    cameras: tuple[str, ...] = ()


class TrialView(_View, frozen=True, kw_only=True):
    """A trial, as its operator may see it.

    Attributes:
        trial: Opaque id.
        number: Its place among all trials that count or will, from 1.
        total: How many those are.
        state: Value of its `TrialState`: `planned`, `leased`, `armed`, `running`, `awaiting score`, ...
        task: Name of the task.
        instruction: What the policy is told.
        success: The criterion.
        rubric: Sub-tasks, each to be answered yes or no.
        layout: Name of the layout.
        description: How to set it up.
        photo: SHA-256 of the reference photo, see `Desk.photo`; empty: none.
        robot: Which robot; empty before it is taken.
        operator: Who took it; empty before.
        timeout_s: How long it may run, [s].
        elapsed_s: How long it has run, or ran, [s].
        lease_left_s: When it is given back unless it is begun, [s] from now; None where that is not to come.
        reason: Why it was interrupted or voided, without what would tell policies apart; empty otherwise.
        version: Grows with every change.
    """

    trial: str
    number: int
    total: int
    state: str
    task: str
    instruction: str
    success: str
    rubric: tuple[str, ...]
    layout: str
    description: str
    photo: str
    robot: str
    operator: str
    timeout_s: float
    elapsed_s: float
    lease_left_s: float | None
    reason: str
    version: int


class Afterwards(_View, frozen=True, kw_only=True):
    """What an operator may be asked about the trial judged last.

    Attributes:
        trial: Opaque id.
        number: Its place.
        policies: Names to choose from, sorted; empty: no guess is asked for (or it was given).
        other: Id of the operator's trial before on the same task, to be compared with; empty: no preference is asked
            for (or it was given).
        other_number: Its place; 0 where there is none.
    """

    trial: str
    number: int
    policies: tuple[str, ...]
    other: str
    other_number: int


class Proposal(_View, frozen=True, kw_only=True):
    """An emergency unblinding that waits for a second administrator.

    Attributes:
        trial: Opaque id.
        number: Its place.
        by: Who proposed it.
        reason: Why.
    """

    trial: str
    number: int
    by: str
    reason: str


class Overview(_View, frozen=True, kw_only=True):
    """The campaign, as somebody may see it; nothing here is per policy.

    Attributes:
        campaign: Its name.
        campaign_id: Opaque id.
        commitment: What was published.
        name: Who asks.
        role: What they may do, `operator`, `rater`, ...
        scored: Trials that count.
        total: How many complete the campaign.
        voided: Trials that do not count.
        layouts: For each layout.
        tasks: For each task.
        robots: All that have been seen.
        mine: The trial that the operator has; None where it has none, and for others.
        afterwards: What the operator may be asked now; None where nothing.
        to_rate: How many videos wait for this rater; 0 for others.
        proposals: Unblindings that wait for a second administrator; for administrators.
        working: Trials that somebody has or that were interrupted; for administrators, who may void them.
        recording: False while the database takes nothing: robots hold, and nothing that is sent is recorded.
        trouble: What is wrong, one line; empty where nothing is.
        complete: Whether every trial is scored.
        ended: Whether it was ended before that: no trial is taken any more.
        opened: Whether the seal was opened.
        utc: What time it is for the server, ISO 8601.
    """

    campaign: str
    campaign_id: str
    commitment: str
    name: str
    role: str
    scored: int
    total: int
    voided: int
    layouts: tuple[Progress, ...]
    tasks: tuple[Progress, ...]
    robots: tuple[RobotStatus, ...]
    mine: TrialView | None
    afterwards: Afterwards | None
    to_rate: int
    proposals: tuple[Proposal, ...]
    working: tuple[TrialView, ...]
    recording: bool
    trouble: str
    complete: bool
    ended: bool
    opened: bool
    utc: str


class RatingView(_View, frozen=True, kw_only=True):
    """A recorded trial, as a second rater sees it: nothing of who ran it, when, and how it was judged.

    Attributes:
        video: Opaque id, for this rater alone.
        task: Name of the task.
        instruction: What the policy was told.
        success: The criterion.
        rubric: Sub-tasks.
        layout: Name of the layout.
        description: How it should have been set up.
        photo: SHA-256 of the reference photo; empty: none.
        cameras: Which cameras recorded it.
        frames: How many pictures each has, numbered from 1; see `Desk.rating_frame`.
        fps: How many of them make a second.
    """

    video: str
    task: str
    instruction: str
    success: str
    rubric: tuple[str, ...]
    layout: str
    description: str
    photo: str
    cameras: tuple[str, ...]
    frames: int
    fps: float


class CampaignStatus(_View, frozen=True, kw_only=True):
    """How far a campaign is, from its records alone.

    Attributes:
        campaign: Its name.
        campaign_id: Opaque id.
        commitment: What was published.
        frozen_at: UTC, ISO 8601.
        scored: Trials that count.
        total: How many complete it.
        states: How many trials are in each state.
        layouts: For each layout.
        tasks: For each task.
        complete: Whether every trial is scored.
        opened: Whether the seal was opened.
        ended: By whom and why it was ended before every trial was scored; empty where it was not.
        head: End of the log, `SEQ:HASH`.
    """

    campaign: str
    campaign_id: str
    commitment: str
    frozen_at: str
    scored: int
    total: int
    states: dict[str, int]
    layouts: tuple[Progress, ...]
    tasks: tuple[Progress, ...]
    complete: bool
    opened: bool
    ended: str
    head: str
