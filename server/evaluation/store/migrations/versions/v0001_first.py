"""The first tables, and what guards them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from unichunk.server.evaluation.store.migrations.first_guards import GUARDS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ON_A_ROBOT: Final = sa.text("state IN ('leased', 'armed', 'running', 'awaiting score')")
HELD: Final = sa.text("state IN ('leased', 'armed', 'running', 'awaiting score', 'interrupted')")
NOT_VOID: Final = sa.text("state <> 'void'")
STATES: Final = "'planned', 'leased', 'armed', 'running', 'awaiting score', 'scored', 'void', 'interrupted'"


def upgrade() -> None:
    """Make them."""
    _make_plan()
    _make_trials()
    _make_log()
    _make_scores()
    dialect = op.get_context().dialect.name
    for guard in GUARDS:
        for statement in guard.statements(dialect):
            op.execute(statement)


def downgrade() -> None:
    """Never: a campaign's records are not taken apart."""
    raise NotImplementedError("there is nothing before the first revision: export the campaign instead")


def _make_plan() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("commitment", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaign"),
        sa.CheckConstraint("id = 1", name="ck_campaign_only_one"),
    )
    op.create_table(
        "slots",
        sa.Column("slot", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("trial", sa.Text, nullable=False),
        sa.Column("layout", sa.Text, nullable=False),
        sa.Column("sealed_policy", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_slots"),
        sa.UniqueConstraint("trial", name="uq_slots_trial"),
    )


def _make_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("position", sa.Double, nullable=False),
        sa.Column("layout", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("robot", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.ForeignKeyConstraint(["slot"], ["slots.slot"], name="fk_trials_slot"),
        sa.UniqueConstraint("position", name="uq_trials_position"),
        sa.UniqueConstraint("slot", "attempt", name="uq_trials_slot"),
        sa.CheckConstraint(f"state IN ({STATES})", name="ck_trials_state"),
    )
    for name, column, where in (
        ("one_trial_per_slot", "slot", NOT_VOID),
        ("one_trial_per_robot", "robot", ON_A_ROBOT),
        ("one_trial_per_operator", "operator", HELD),
    ):
        op.create_index(name, "trials", [column], unique=True, sqlite_where=where, postgresql_where=where)


def _make_log() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("hash", name="uq_events_hash"),
    )
    op.create_table(
        "requests",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_requests"),
        sa.ForeignKeyConstraint(["seq"], ["events.seq"], name="fk_requests_seq"),
        sa.UniqueConstraint("seq", name="uq_requests_seq"),
    )


def _make_scores() -> None:
    for table, who in (("scores", ()), ("second_scores", ("rater",))):
        judge = () if who else (sa.Column("judge", sa.Text, nullable=False),)
        op.create_table(
            table,
            sa.Column("trial", sa.Text, nullable=False),
            *(sa.Column(name, sa.Text, nullable=False) for name in who),
            sa.Column("success", sa.Integer, nullable=False),
            sa.Column("rubric", sa.Text, nullable=False),
            sa.Column("note", sa.Text, nullable=False),
            *judge,
            sa.Column("seq", sa.Integer, nullable=False),
            sa.PrimaryKeyConstraint("trial", *who, name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["trial"], ["trials.id"], name=f"fk_{table}_trial"),
            sa.ForeignKeyConstraint(["seq"], ["events.seq"], name=f"fk_{table}_seq"),
            sa.UniqueConstraint("seq", name=f"uq_{table}_seq"),
            sa.CheckConstraint("success IN (0, 1)", name=f"ck_{table}_success"),
        )
