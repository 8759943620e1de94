"""Everything that can happen in a campaign; each is one event of the log.

| command             | from                                  | to                         | by               |
|---------------------|---------------------------------------|----------------------------|------------------|
| `Lease`             | planned                               | leased                     | operator         |
| `Release`           | leased, armed                         | planned                    | operator, server |
| `Arm`               | leased                                | armed                      | operator         |
| `Start`             | armed                                 | running                    | operator         |
| `End`               | running                               | awaiting score             | operator, server |
| `Interrupt`         | armed, running                        | interrupted                | server           |
| `GiveScore`         | awaiting score                        | scored                     | operator         |
| `CountAsFailure`    | interrupted                           | scored                     | server           |
| `Void`              | leased to awaiting score, interrupted | void; a new trial, planned | operator, server |
| `Rate`              | scored                                | scored (a second opinion)  | rater            |
| `Guess`, `Prefer`   | scored                                | scored                     | operator         |
| `Note`              | any but planned                       | the same                   | operator, rater  |
| `Recorded`          | any but planned                       | the same                   | server           |
| `ProposeUnblinding` | any but planned                       | the same                   | admin            |
| `ConfirmUnblinding` | any but planned, after a proposal     | the same                   | another admin    |
| `Looked`            | of the campaign                       | the same                   | admin            |
| `EndedEarly`        | of the campaign: no trial on a robot  | no trial is taken any more | admin            |
| `Opened`            | of the campaign: everything scored,   | unblinded                  | admin            |
|                     | or ended early                        |                            |                  |
| `ClockJumped`       | of the campaign                       |                            | server           |
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Note_ = Annotated[str, Meta(max_length=2000)]
Reason = Annotated[str, Meta(min_length=3, max_length=500)]


class _Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command"):
    pass


class _OfTrial(_Command, frozen=True, kw_only=True):
    trial: str


class Lease(_OfTrial, frozen=True, kw_only=True, tag="lease"):
    """Take a trial for a robot."""

    robot: Annotated[str, Meta(min_length=1, max_length=64)]


class Release(_OfTrial, frozen=True, kw_only=True, tag="release"):
    """Give it back."""

    reason: Note_ = ""


class Arm(_OfTrial, frozen=True, kw_only=True, tag="arm"):
    """The scene is set; the robot goes to its start pose and holds."""


class Start(_OfTrial, frozen=True, kw_only=True, tag="start"):
    """The policy drives from now on."""


class End(_OfTrial, frozen=True, kw_only=True, tag="end"):
    """It drives no longer."""

    cause: Literal["operator", "timeout", "task done"]
    duration_s: Annotated[float, Meta(ge=0)]


class Interrupt(_OfTrial, frozen=True, kw_only=True, tag="interrupt"):
    """Cut off. The code is generic: it must not tell policies apart."""

    code: Literal["robot lost", "policy lost", "server ended", "emergency stop"]
    duration_s: Annotated[float, Meta(ge=0)] = 0.0


class GiveScore(_OfTrial, frozen=True, kw_only=True, tag="score"):
    """Judge it, once."""

    success: bool
    rubric: Annotated[tuple[bool, ...], Meta(max_length=20)] = ()
    note: Note_ = ""


class CountAsFailure(_OfTrial, frozen=True, kw_only=True, tag="count as failure"):
    """A policy died, and the plan's rule says that this is a failure."""


class Void(_OfTrial, frozen=True, kw_only=True, tag="void"):
    """It does not count, and is done again at a random later place."""

    reason: Reason


class Rate(_OfTrial, frozen=True, kw_only=True, tag="rate"):
    """Judge it again, from its video."""

    success: bool
    rubric: Annotated[tuple[bool, ...], Meta(max_length=20)] = ()
    note: Note_ = ""


class Guess(_OfTrial, frozen=True, kw_only=True, tag="guess"):
    """Which policy the operator thinks it was; empty: does not know."""

    policy: Annotated[str, Meta(max_length=64)]


class Prefer(_OfTrial, frozen=True, kw_only=True, tag="prefer"):
    """Which of two trials of a task was better."""

    other: str
    better: Literal["this", "other", "neither"]


class Note(_OfTrial, frozen=True, kw_only=True, tag="note"):
    """Something worth writing down."""

    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class Recorded(_OfTrial, frozen=True, kw_only=True, tag="recorded"):
    """What was recorded of it is complete: from here on it cannot be exchanged either.

    Attributes:
        sha256: Of its `episode.json`, which has the hashes of all its other files; hexadecimal.
    """

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class ProposeUnblinding(_OfTrial, frozen=True, kw_only=True, tag="propose unblinding"):
    """Emergency: the first of two people asks which policy it was."""

    reason: Reason


class ConfirmUnblinding(_OfTrial, frozen=True, kw_only=True, tag="confirm unblinding"):
    """The second one agrees; the policy's name is shown to both, and the trial is marked."""


class Looked(_Command, frozen=True, kw_only=True, tag="looked"):
    """Somebody looks at the sequential test before the plan is complete.

    Attributes:
        scored: How many trials have a score.
    """

    scored: Annotated[int, Meta(ge=0)]


class EndedEarly(_Command, frozen=True, kw_only=True, tag="ended early"):
    """No trial is taken any more, although the plan is not complete."""

    reason: Reason


class Opened(_Command, frozen=True, kw_only=True, tag="opened"):
    """The campaign is complete, or was ended early, and its seal was opened."""


class ClockJumped(_Command, frozen=True, kw_only=True, tag="clock jumped"):
    """The wall clock and the monotonic one disagree by this much since the event before, [s]."""

    by_s: float


Command: TypeAlias = (
    Lease
    | Release
    | Arm
    | Start
    | End
    | Interrupt
    | GiveScore
    | CountAsFailure
    | Void
    | Rate
    | Guess
    | Prefer
    | Note
    | Recorded
    | ProposeUnblinding
    | ConfirmUnblinding
    | Looked
    | EndedEarly
    | Opened
    | ClockJumped
)
