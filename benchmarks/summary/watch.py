"""What changed since the last stored run, by ratios: absolute times tell machines apart, ratios tell programs apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.ratio import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_CHANGE: Final = 0.1
"""Smaller changes of a median are never named, however narrow the intervals."""

UNSURE_CHANGE: Final = 0.3
"""Where an interval holds with less than 95 % (fewer than six pairs), the change must be this large too."""


@dataclass(frozen=True)
class Change:
    """One ratio that differs beyond noise.

    Attributes:
        benchmark: Which benchmark.
        label: Which ratio.
        before: Its row in the stored run, see `harness.ratio.Ratio`.
        now: Its row in this run.
    """

    benchmark: str
    label: str
    before: Mapping[str, Any]
    now: Mapping[str, Any]

    @property
    def worse(self) -> bool:
        """Whether it went the wrong way."""
        return bool((self.now["median"] > self.before["median"]) == (self.now["better"] == "lower"))

    def __str__(self) -> str:
        """One line."""
        verdict = "WORSE" if self.worse else "better"
        spans = (
            f"{row['median']:.3g} ({row['low']:.3g} to {row['high']:.3g}, {row['pairs']} pairs)"
            for row in (self.before, self.now)
        )
        return f"{verdict}: {self.benchmark}: {self.label}: " + " -> ".join(spans)


@dataclass(frozen=True)
class Watch:
    """What a comparison says.

    Attributes:
        changes: Ratios that differ beyond noise.
        compared: Number of ratios that both runs have.
        gone: "benchmark: ratio" that only the stored run has.
        new: "benchmark: ratio" that only this run has.
    """

    changes: tuple[Change, ...]
    compared: int
    gone: tuple[str, ...]
    new: tuple[str, ...]

    def lines(self) -> list[str]:
        """What to tell."""
        worse = sum(change.worse for change in self.changes)
        said = [
            f"{self.compared} ratios compared with the last stored run: {worse} worse, "
            f"{len(self.changes) - worse} better beyond noise, {len(self.new)} new, {len(self.gone)} not there any more"
        ]
        said += [str(change) for change in sorted(self.changes, key=lambda change: not change.worse)]
        said += [f"not there any more: {name}" for name in self.gone]
        return said


def compare(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> Watch:
    """Compare two runs.

    A ratio differs beyond noise where the intervals of both runs do not overlap and the median changed by a tenth or
    more; by three tenths where one of the runs had too few pairs for an interval of 95 %.

    Args:
        before: The stored run: benchmark -> its ratios by label, as `harness.document` wrote them.
        now: This run, likewise.
    """
    old, new = _flat(before), _flat(now)
    both = [key for key in new if key in old]
    changes = [Change(*key, old[key], new[key]) for key in both if beyond_noise(old[key], new[key])]
    ran = set(now)
    return Watch(
        changes=tuple(changes),
        compared=len(both),
        # A benchmark that was not part of this run lost nothing.
        gone=tuple(": ".join(key) for key in old if key not in new and key[0] in ran),
        new=tuple(": ".join(key) for key in new if key not in old),
    )


def beyond_noise(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two measurements of a ratio differ by more than their intervals and the least change explain."""
    apart = before["high"] < now["low"] or now["high"] < before["low"]
    sure = min(before["confidence"], now["confidence"]) >= CONFIDENCE
    least = LEAST_CHANGE if sure else UNSURE_CHANGE
    return bool(apart and abs(math.log(now["median"] / before["median"])) >= math.log1p(least))


def _flat(run: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(name, label): ratio for name, ratios in run.items() for label, ratio in ratios.items()}
