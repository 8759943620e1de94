"""`unichunk eval verify`: whether the records of a campaign are what happened."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import Annotated, Final

import tyro

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done
from unichunk.server.say import say

NAME: Final = "unichunk eval verify"
EXIT_TAMPERED: Final = 1


@dataclass
class EvalVerify:
    """Check a campaign: signatures and order of its log, every row against it, plan, commitment, photos and episodes.

    Once the campaign is opened, also the schedule and the places of redone trials, drawn again from the seed. Compare
    the commitment that it prints with the one that was published; give it the heads of the log that were kept.

    Exit status: 0 all fits; 1 something was changed, moved or cut off, with one line on the standard error that says
    what; 2 a wrong command line; 3 refused (no campaign there, a database that cannot be reached).

    Try: unichunk eval verify campaign
    """

    folder: tyro.conf.Positional[Path]
    """The campaign's folder."""
    head: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default_factory=tuple)
    """SEQ:HASH, a head of the log that was kept elsewhere; may be given again and again."""
    admin_key: Path | None = None
    """File of the admin's private key: opens the commitment of a campaign that was not opened yet, for this check
    alone; nothing of it is shown."""

    def __call__(self) -> int:
        """Check it; return the exit status."""
        tampered: list[str] = []

        def verified() -> str:
            need_evaluation()
            from unichunk.server.evaluation.errors import Tampered  # noqa: PLC0415  (an extra)
            from unichunk.server.evaluation.store.verify import verify  # noqa: PLC0415  (an extra)

            try:
                found = verify(self.folder, heads=self.head, admin_key=self.admin_key)
            except Tampered as error:
                tampered.append(str(error))
                return ""
            ended = found.ended
            early = f", ended early by {ended.by}: {ended.reason!r}" if ended is not None else ""
            seed = "drawn again from the seed" if found.commitment_opened else "sealed"
            lines = [
                f"{found.campaign} ({found.campaign_id}): verified: {found.scored} of {found.total} trials scored"
                f"{early}, {found.voids} void, schedule {seed}",
                f"commitment: {found.commitment}",
                f"head: {found.head}",
                *(f"note: {note}" for note in found.notes),
            ]
            return "".join(f"{line}\n" for line in lines)

        status = done(NAME, verified)
        if tampered:
            say(f"{NAME}: {tampered[0]}\n", sys.stderr)
            return EXIT_TAMPERED
        return status
