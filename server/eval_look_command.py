"""`unichunk eval look`: the sequential test before the plan is complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done

NAME: Final = "unichunk eval look"


@dataclass
class EvalLook:
    """Look at the sequential test that the plan declared, before every trial is scored; at nothing else.

    It may be looked at as often as one wants: the e-value of a pair without a difference reaches its threshold at any
    time with at most the plan's alpha. The log records every look, and the report lists them. Nothing that is sealed is
    written down. Who has looked should not run or judge trials afterwards. End the service first.

    Exit status: 0 shown; 2 a wrong command line; 3 refused, with one line on the standard error that says why.

    Try: unichunk eval look campaign --admin-key admin.key
    """

    folder: tyro.conf.Positional[Path]
    """The campaign's folder."""
    admin_key: Path
    """File of the admin's private key."""
    by: str = "admin"
    """Name for the log of who looks."""

    def __call__(self) -> int:
        """Show it; return the exit status."""
        return done(NAME, self._seen)

    def _seen(self) -> str:
        need_evaluation()
        from unichunk.server.evaluation.look import look, look_lines  # noqa: PLC0415  (an extra)

        return "".join(f"{line}\n" for line in look_lines(look(self.folder, self.admin_key, by=self.by)))
