"""`unichunk eval unblind`: opens a complete campaign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done

NAME: Final = "unichunk eval unblind"


@dataclass
class EvalUnblind:
    """Open a campaign whose every trial is scored: write its seed and which trial was which policy.

    The log records it, and takes no scores afterwards. A campaign that cannot go on, or that the sequential test has
    decided, is ended with --end-early: the log, verify and the report say that its plan was not completed. A single
    trial is opened in an emergency by two admins on the service's page. End the service first.

    Exit status: 0 opened (or it was); 2 a wrong command line; 3 refused, with one line on the standard error that says
    why.

    Try: unichunk eval unblind campaign --admin-key admin.key
    """

    folder: tyro.conf.Positional[Path]
    """The campaign's folder."""
    admin_key: Path
    """File of the admin's private key."""
    by: str = "admin"
    """Name for the log of who opens it."""
    end_early: str | None = None
    """Why the campaign is ended although trials have no score yet (3 to 500 characters, goes into the report). No trial
    is taken afterwards; none may be in somebody's hands now."""
    unrated: bool = False
    """Open it although second ratings are missing that the plan asks for."""

    def __call__(self) -> int:
        """Open it; return the exit status."""
        return done(NAME, self._opened)

    def _opened(self) -> str:
        need_evaluation()
        from unichunk.server.evaluation.planning.opening import unblind  # noqa: PLC0415  (an extra)
        from unichunk.server.evaluation.second_ratings import need_second_ratings  # noqa: PLC0415  (an extra)

        if not self.unrated:
            need_second_ratings(self.folder)
        opened = unblind(self.folder, self.admin_key, by=self.by, end_early=self.end_early)
        return (
            f"{opened.plan.campaign.name}: opened: its seed opens commitment {opened.plan.commitment}\n"
            f"next: unichunk eval report {self.folder}\n"
        )
