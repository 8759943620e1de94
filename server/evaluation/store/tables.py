"""The tables of one campaign, as they are now; `migrations/` says how they came to be, guards included."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from unichunk.server.evaluation.ledger.trial import TrialState

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_STATES: Final = ", ".join(f"'{state.value}'" for state in TrialState)
_ON_A_ROBOT: Final = text("state IN ('leased', 'armed', 'running', 'awaiting score')")
_HELD: Final = text("state IN ('leased', 'armed', 'running', 'awaiting score', 'interrupted')")
_LIVE_OR_COUNTED: Final = text("state <> 'void'")

CAMPAIGN: Final = Table(
    "campaign",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("campaign_id", Text, nullable=False),
    Column("commitment", Text, nullable=False),
    Column("plan", Text, nullable=False),
    CheckConstraint("id = 1", name="only_one"),
)
"""One row: the plan. While it is there, no slot can be added."""

SLOTS: Final = Table(
    "slots",
    METADATA,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("trial", Text, nullable=False, unique=True),
    Column("layout", Text, nullable=False),
    Column("sealed_policy", Text, nullable=False),
)
"""What has to be scored: K of each cell, and never a row more or less."""

TRIALS: Final = Table(
    "trials",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("slot", Integer, ForeignKey("slots.slot"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("position", Double, nullable=False, unique=True),
    Column("layout", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("robot", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("duration_s", Double, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint(f"state IN ({_STATES})", name="state"),
    UniqueConstraint("slot", "attempt"),
    Index("one_trial_per_slot", "slot", unique=True, sqlite_where=_LIVE_OR_COUNTED, postgresql_where=_LIVE_OR_COUNTED),
    Index("one_trial_per_robot", "robot", unique=True, sqlite_where=_ON_A_ROBOT, postgresql_where=_ON_A_ROBOT),
    Index("one_trial_per_operator", "operator", unique=True, sqlite_where=_HELD, postgresql_where=_HELD),
)
"""Every trial; of each slot at most one that is not void."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("signature", Text, nullable=False),
)
"""The log; everything else follows from it."""

SCORES: Final = Table(
    "scores",
    METADATA,
    Column("trial", Text, ForeignKey("trials.id"), primary_key=True),
    Column("success", Integer, nullable=False),
    Column("rubric", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("judge", Text, nullable=False),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False, unique=True),
    CheckConstraint("success IN (0, 1)", name="success"),
)
"""One score for a trial, for ever; `rubric` is a 0 or 1 for each sub-task."""

SECOND_SCORES: Final = Table(
    "second_scores",
    METADATA,
    Column("trial", Text, ForeignKey("trials.id"), primary_key=True),
    Column("rater", Text, primary_key=True),
    Column("success", Integer, nullable=False),
    Column("rubric", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False, unique=True),
    CheckConstraint("success IN (0, 1)", name="success"),
)
"""One for a trial and rater."""

REQUESTS: Final = Table(
    "requests",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False, unique=True),
)
"""Idempotency keys, and the events that they led to."""
