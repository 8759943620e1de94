"""`unichunk eval power`: how many trials are enough, before a campaign is frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.server.eval_extra import need_evaluation
from unichunk.server.keys_command import done
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign

NAME: Final = "unichunk eval power"
MOST: Final = 16
"""Policies."""


@dataclass
class EvalPower:
    """Compute what a campaign could find with assumed success rates, and how many trials are enough.

    Either of a declared campaign, or of numbers alone. By simulation with a fixed seed: the same call says the same.

    Exit status: 0 computed; 2 a wrong command line; 3 refused, with one line on the standard error that says why.

    Try: unichunk eval power --rates 0.5 0.7 --layouts 4 --trials-per-cell 20
    """

    campaign: tyro.conf.Positional[Path | None] = None
    """The declared campaign, TOML or JSON: says layouts, K, level and pairs. Without --rates, what is shown is how well
    one policy that is better than the others is told apart."""
    rates: tuple[float, ...] = ()
    """Assumed success rate of each policy on a layout of middle difficulty, 0 to 1."""
    layouts: int | None = None
    """How many layouts; 1 if no campaign says."""
    trials_per_cell: int | None = None
    """K, trials of each policy on each layout; 20 if no campaign says."""
    alpha: float | None = None
    """Level of the tests; 0.05 if no campaign says."""
    spread: float = 0.0
    """Difference of log-odds between the easiest and the hardest layout."""
    power: float = 0.8
    """What the number of trials that is enough has to reach, for each pair whose rates differ."""

    def __call__(self) -> int:
        """Compute it; return the exit status."""
        return done(NAME, self._said)

    def _said(self) -> str:
        need_evaluation()
        self._check()
        from unichunk.server.evaluation.power_lines import leads_lines, pairs_of, rates_lines  # noqa: PLC0415  (an extra)

        campaign = self._campaign()
        if not self.rates:
            assert campaign is not None
            return "".join(f"{line}\n" for line in leads_lines(campaign))
        names = [f"policy {number}" for number in range(1, len(self.rates) + 1)]
        if campaign is not None:
            names = [policy.name for policy in campaign.policies]
            if len(names) != len(self.rates):
                raise UsageError(f"--rates: expected {len(names)}, one for each policy, got {len(self.rates)}")
        lines = rates_lines(
            names,
            self.rates,
            layouts=self.layouts or (1 if campaign is None else len(campaign.layouts)),
            per_cell=self.trials_per_cell or (20 if campaign is None else campaign.trials_per_cell),
            alpha=self.alpha or (0.05 if campaign is None else campaign.analysis.alpha),
            pairs=None if campaign is None else pairs_of(campaign),
            spread=self.spread,
            wanted=self.power,
        )
        return "".join(f"{line}\n" for line in lines)

    def _campaign(self) -> Campaign | None:
        from unichunk.server.evaluation.planning.campaign_file import read_campaign  # noqa: PLC0415  (an extra)

        return None if self.campaign is None else read_campaign(self.campaign)

    def _check(self) -> None:
        if self.campaign is None and not self.rates:
            raise UsageError("expected a campaign's file, or --rates with at least two success rates")
        if self.rates and not 2 <= len(self.rates) <= MOST:
            raise UsageError(f"--rates: expected 2 to {MOST} success rates, got {len(self.rates)}")
        for rate in self.rates:
            if not 0 <= rate <= 1:
                raise UsageError(f"--rates: expected 0 to 1, got {rate:g}")
        for name, value, most in (("layouts", self.layouts, 64), ("trials-per-cell", self.trials_per_cell, 1000)):
            if value is not None and not 1 <= value <= most:
                raise UsageError(f"--{name}: expected 1 to {most}, got {value}")
        for name, number in (("alpha", self.alpha), ("power", self.power)):
            if number is not None and not 0 < number < 1:
                raise UsageError(f"--{name}: expected more than 0 and less than 1, got {number:g}")
        if not 0 <= self.spread <= 10:
            raise UsageError(f"--spread: expected 0 to 10, got {self.spread:g}")
