"""Triggers: what the database refuses, whoever asks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ALWAYS: Final = ""


@dataclass(frozen=True)
class Guard:
    """One thing that never happens.

    Attributes:
        table: To this table.
        operation: `INSERT`, `UPDATE` or `DELETE` of a row.
        when: SQL over NEW and OLD, in words that SQLite and PostgreSQL share; empty: always.
        reason: What the database says.
    """

    table: str
    operation: str
    when: str
    reason: str

    @property
    def name(self) -> str:
        """Of the trigger."""
        return f"guard_{self.table}_{self.operation.lower()}"

    def statements(self, dialect: str) -> tuple[str, ...]:
        """SQL that makes it.

        Args:
            dialect: `sqlite` or `postgresql`.
        """
        return self._postgresql() if dialect == "postgresql" else self._sqlite()

    def _sqlite(self) -> tuple[str, ...]:
        when = f"WHEN {self.when} " if self.when else ""
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.operation} ON {self.table} {when}"
            f"BEGIN SELECT RAISE(ABORT, '{self.table}: {self.reason}'); END",
        )

    def _postgresql(self) -> tuple[str, ...]:
        refuse = f"RAISE EXCEPTION '{self.table}: {self.reason}';"
        body = f"IF {self.when} THEN {refuse} END IF; RETURN NEW;" if self.when else refuse
        statements = [
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
            f"CREATE TRIGGER {self.name} BEFORE {self.operation} ON {self.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {self.name}()",
        ]
        if self.operation == "DELETE":
            statements.append(
                f"CREATE TRIGGER {self.name}_all BEFORE TRUNCATE ON {self.table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {self.name}()"
            )
        return tuple(statements)
