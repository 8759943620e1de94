"""`unichunk eval report`: what an opened campaign has shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done

NAME: Final = "unichunk eval report"


@dataclass
class EvalReport:
    """Verify an opened campaign, compute what its plan declared, and write it as HTML, PDF, CSV, Parquet and episodes.

    Exit status: 0 written; 2 a wrong command line; 3 refused (not opened, records that do not verify), with one line on
    the standard error that says why.

    Try: unichunk eval report campaign
    """

    folder: tyro.conf.Positional[Path]
    """The campaign's folder."""
    out: Path | None = None
    """Where to write; without it, report/ in the folder. An older report there is replaced."""

    def __call__(self) -> int:
        """Write it; return the exit status."""
        return done(NAME, self._written)

    def _written(self) -> str:
        need_evaluation()
        from unichunk.server.evaluation.reporting import make_report  # noqa: PLC0415  (an extra)

        return "".join(f"{path}\n" for path in make_report(self.folder, self.out))
