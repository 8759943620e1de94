"""What the database refuses since the first revision."""

from __future__ import annotations

from typing import Final

from unichunk.server.evaluation.store.migrations.guards import ALWAYS, Guard

GUARDS: Final = (
    Guard("campaign", "UPDATE", ALWAYS, "a frozen plan does not change"),
    Guard("campaign", "DELETE", ALWAYS, "a frozen plan does not go away"),
    Guard("slots", "INSERT", "EXISTS (SELECT 1 FROM campaign)", "the plan is frozen"),
    Guard("slots", "UPDATE", ALWAYS, "the plan is frozen"),
    Guard("slots", "DELETE", ALWAYS, "the plan is frozen"),
    Guard("trials", "INSERT", "NEW.state <> 'planned' OR NEW.version <> 0", "a trial begins as planned"),
    Guard(
        "trials",
        "UPDATE",
        "OLD.state IN ('scored', 'void') OR NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id "
        "OR NEW.slot <> OLD.slot OR NEW.attempt <> OLD.attempt OR NEW.position <> OLD.position "
        "OR NEW.layout <> OLD.layout",
        "a trial that is scored or void does not change, no trial changes its place",
    ),
    Guard("trials", "DELETE", ALWAYS, "no trial goes away"),
    Guard("events", "INSERT", "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM events)", "one event after the other"),
    Guard("events", "UPDATE", ALWAYS, "what happened does not change"),
    Guard("events", "DELETE", ALWAYS, "what happened does not go away"),
    Guard(
        "scores",
        "INSERT",
        "NOT EXISTS (SELECT 1 FROM trials WHERE trials.id = NEW.trial AND trials.state = 'scored')",
        "only scored trials have one",
    ),
    Guard("scores", "UPDATE", ALWAYS, "no trial is scored again"),
    Guard("scores", "DELETE", ALWAYS, "no score goes away"),
    Guard("second_scores", "UPDATE", ALWAYS, "no trial is scored again"),
    Guard("second_scores", "DELETE", ALWAYS, "no score goes away"),
    Guard("requests", "UPDATE", ALWAYS, "what was asked does not change"),
    Guard("requests", "DELETE", ALWAYS, "what was asked does not go away"),
)
