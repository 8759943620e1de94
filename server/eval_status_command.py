"""`unichunk eval status`: how far a campaign is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import Final

import msgspec
import tyro  # noqa: TC002  (read at run time)

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done

NAME: Final = "unichunk eval status"


@dataclass
class EvalStatus:
    """Show how far a campaign is, and the head of its log to be kept elsewhere; nothing per policy.

    Works while the campaign runs.

    Exit status: 0 shown; 2 a wrong command line; 3 refused, with one line on the standard error that says why.

    Try: unichunk eval status campaign
    """

    folder: tyro.conf.Positional[Path]
    """The campaign's folder."""
    json: bool = False
    """Print JSON, for programs."""

    def __call__(self) -> int:
        """Show it; return the exit status."""
        return done(NAME, self._said)

    def _said(self) -> str:
        need_evaluation()
        from unichunk.server.evaluation.campaign_status import campaign_status, status_lines  # noqa: PLC0415  (an extra)

        status = campaign_status(self.folder)
        if self.json:
            return f"{msgspec.json.format(msgspec.json.encode(status)).decode()}\n"
        return "".join(f"{line}\n" for line in status_lines(status))
