"""`unichunk eval plan`: freezes a campaign before its first trial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.freeze import Frozen

NAME: Final = "unichunk eval plan"


@dataclass
class EvalPlan:
    """Freeze a campaign: hash its policies and photos, draw its schedule from a sealed seed, print what to publish.

    From here on nothing can be changed unnoticed: policies, order, number of trials, criteria, analysis. Servers of
    policies that ask for a key get that of UNICHUNK_API_KEY.

    Exit status: 0 frozen; 2 a wrong command line; 3 refused, with one line on the standard error that says why: then
    there is no folder.

    Try: unichunk eval plan campaign.toml --out campaign
    """

    campaign: tyro.conf.Positional[Path]
    """The declared campaign, TOML or JSON."""
    out: Path
    """Folder to make for it."""
    admin_key: Path | None = None
    """File of the key that opens the campaign in the end, or of its public half; made where there is none. Without it,
    one is made in the folder, from where it should be moved away."""
    database: str | None = None
    """postgresql://USER@HOST/NAME of an empty database; without it, SQLite in the folder."""

    def __call__(self) -> int:
        """Freeze it; return the exit status."""
        return done(NAME, self._frozen)

    def _frozen(self) -> str:
        need_evaluation()
        from unichunk.server.evaluation.planning.freeze import freeze  # noqa: PLC0415  (an extra)

        frozen = freeze(
            self.campaign,
            self.out,
            now=datetime.now(timezone.utc),
            admin_key=self.admin_key,
            database=self.database,
        )
        return "".join(f"{line}\n" for line in _lines(frozen))


def _lines(frozen: Frozen) -> list[str]:
    from unichunk.server.evaluation.planning.source_kind import VOUCHED, source_kind  # noqa: PLC0415  (an extra)
    from unichunk.server.evaluation.power_lines import leads_lines  # noqa: PLC0415  (an extra)

    campaign = frozen.plan.campaign
    layouts = "1 layout" if len(campaign.layouts) == 1 else f"{len(campaign.layouts)} layouts"
    lines = [
        f"{campaign.name}: {campaign.trials} trials: {len(campaign.policies)} policies on {layouts}, "
        f"K = {campaign.trials_per_cell} each, {campaign.randomization.value}",
    ]
    for policy in campaign.policies:
        kind = source_kind(policy.source)
        vouched = f" ({VOUCHED[kind]})" if kind is not None else ""
        lines.append(f"  {policy.name}: {policy.sha256}{vouched}")
    lines += leads_lines(campaign)
    lines += [f"warning: {warning}" for warning in frozen.warnings]
    return [
        *lines,
        f"commitment: {frozen.plan.commitment}",
        f"publish it now, before the first trial ({frozen.folder / 'commitment.json'})",
        f"next: unichunk keys add NAME --role operator --file {frozen.folder / 'private' / 'keys.json'}",
        f"      unichunk eval serve {frozen.folder}",
    ]
