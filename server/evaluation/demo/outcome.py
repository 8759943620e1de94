"""What the demonstration's campaign found, beside what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.server.evaluation.demo.characters import CHARACTERS
from unichunk.server.evaluation.report.folder import MARK
from unichunk.server.evaluation.statistics.document import AnalysisResult

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.statistics.document import Rate

_LEAST: Final = 1e-4


def read_analysis(folder: Path) -> AnalysisResult:
    """The analysis in a campaign's report."""
    return msgspec.json.decode((folder / "report" / MARK).read_bytes(), type=AnalysisResult)


def outcome_lines(analysis: AnalysisResult) -> list[str]:
    """Lines for a terminal: each policy's true probability, its estimate with interval, and each pair's test."""
    percent = f"{100 * analysis.confidence:.4g}%"
    lines = [
        f"success of {analysis.trials} trials, {percent} intervals (Wilson)",
        f"  {'policy':<10} {'true':>5}  {'found':>5}  {'interval':<14} {'of':>7}   true value",
    ]
    for cell in analysis.success:
        lines.append(_success(cell.policy, cell.success))
    lines.append(f"all the same ({analysis.omnibus.name}): {_p(analysis.omnibus.p)}")
    for pair in analysis.pairs:
        test = pair.cmh
        true = CHARACTERS[pair.first].success - CHARACTERS[pair.second].success
        verdict = "differ" if test.rejects else "not told apart"
        found = _signed(pair.difference.estimate)
        lines.append(
            f"  {pair.first + ' - ' + pair.second:<18} true {_signed(true)}, found {found}, {_p(test.adjusted)} after "
            f"Holm: {verdict}"
        )
    return lines


def _success(policy: str, success: Rate) -> str:
    true, counted = CHARACTERS[policy].success, f"{success.successes}/{success.trials}"
    if success.rate is None or success.wilson is None:
        return f"  {policy:<10} {true:5.2f}  {'-':>5}  {'-':<14} {counted:>7}"
    low, high = success.wilson.low, success.wilson.high
    inside = "inside" if low <= true <= high else "outside"
    return f"  {policy:<10} {true:5.2f}  {success.rate:5.2f}  {low:.2f} to {high:.2f}   {counted:>7}   {inside}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return "p not computed"
    return "p < 0.0001" if value < _LEAST else f"p = {value:.2g}"
