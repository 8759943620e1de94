"""What scripts of the pages send, each read and checked whole."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from unichunk.server.evaluation.ledger.commands import Reason  # noqa: TC001  (read at run time)

Text = Annotated[str, Meta(max_length=2000)]
Short = Annotated[str, Meta(max_length=64)]
Answers = Annotated[tuple[bool, ...], Meta(max_length=20)]


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class OfRobot(_Body, frozen=True, kw_only=True):
    """To take a trial for a robot, or to hold it."""

    robot: Annotated[str, Meta(min_length=1, max_length=64)]


class Nothing(_Body, frozen=True, kw_only=True):
    """For what needs no more words."""


class Motion(_Body, frozen=True, kw_only=True):
    """To set a robot in motion, see `tickets`."""

    ticket: Annotated[str, Meta(max_length=200)]


class Judgement(_Body, frozen=True, kw_only=True):
    """Of an operator or a rater."""

    success: bool
    rubric: Answers = ()
    note: Text = ""


class Why(_Body, frozen=True, kw_only=True):
    """A reason."""

    reason: Reason


class Remark(_Body, frozen=True, kw_only=True):
    """Something worth writing down."""

    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class Opinion(_Body, frozen=True, kw_only=True):
    """Which policy it may have been; empty: does not know."""

    policy: Short


class Comparison(_Body, frozen=True, kw_only=True):
    """Which of two trials was better."""

    other: Short
    better: Literal["this", "other", "neither"]
