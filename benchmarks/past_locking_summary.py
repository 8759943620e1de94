"""What a comparison of arms says: rates with intervals, means, and each arm beside the first on the same paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import paired_ratio
from unichunk.embodiments.sim.intervals import Z95, mean_and_error, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.harness.ratio import Ratio
    from unichunk.benchmarks.past_locking_plan import Episode

MEANS: Final = ("on_target", "error_mm", "seam_kink_rad", "inside_kink_rad")
COMPARED: Final = ("success", "on_target", "error_mm", "seam_kink_rad")
ALL: Final = "all"


def rows(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """One row for each delay and arm: successes with Wilson's 95 % interval, means, chunks, violations."""
    result = []
    for delay, arm in dict.fromkeys((episode.delay, episode.arm) for episode in episodes):
        members = select(episodes, delay, arm)
        successes = sum(episode.success for episode in members)
        low, high = wilson(successes, len(members))
        means = {name: float(np.mean([getattr(episode, name) for episode in members])) for name in MEANS}
        counts = {name: sum(getattr(episode, name) for episode in members) for name in ("chunks", "violations")}
        cell = {"delay": delay, "arm": arm, "episodes": len(members), "success": successes / len(members)}
        result.append(cell | {"low": low, "high": high} | means | counts)
    return result


def comparisons(episodes: Sequence[Episode], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Each arm minus the first, at each delay and over all of them: means over paths with normal 95 % intervals."""
    result = []
    for delay in _delays_and_all(episodes):
        for arm in labels[1:]:
            cell: dict[str, Any] = {"delay": delay, "arm": arm, "base": labels[0]}
            for name in COMPARED:
                ours, base = (by_path(select(episodes, delay, one), name) for one in (arm, labels[0]))
                mean, error = mean_and_error([ours[path] - base[path] for path in ours])
                cell[name] = {"mean": mean, "low": mean - Z95 * error, "high": mean + Z95 * error}
            result.append(cell | {"paths": len(ours)})
    return result


def ratios(episodes: Sequence[Episode], labels: Sequence[str]) -> dict[str, Ratio]:
    """What the regression watch compares: the error of each arm over the first one's, on the same paths."""
    return {
        f"error, d = {delay}: {arm} / {labels[0]}": paired_ratio(
            *(list(by_path(select(episodes, delay, one), "error_mm").values()) for one in (arm, labels[0])),
            better="lower",
        )
        for delay in _delays_and_all(episodes)
        for arm in labels[1:]
    }


def select(episodes: Sequence[Episode], delay: int | str, arm: str) -> list[Episode]:
    """The episodes of one delay, or of all, and one arm."""
    return [episode for episode in episodes if delay in (ALL, episode.delay) and episode.arm == arm]


def by_path(episodes: Sequence[Episode], name: str) -> dict[int, float]:
    """Means over the runs on one path, which are not independent of each other."""
    values: dict[int, list[float]] = {}
    for episode in episodes:
        values.setdefault(episode.seed, []).append(float(getattr(episode, name)))
    return {path: float(np.mean(some)) for path, some in values.items()}


def success_table(episodes: Sequence[Episode], labels: Sequence[str]) -> str:
    """Markdown: one row for each arm, one column for each delay: successes, share of the time, error."""
    cells = {(row["delay"], row["arm"]): row for row in rows(episodes)}
    delays = _delays(episodes)
    return markdown_table(
        ("success, on target, error [mm]", *(f"d = {delay}" for delay in delays)),
        [
            (
                label,
                *(
                    f"{row['success']:.2f} ({row['low']:.2f} to {row['high']:.2f}), {row['on_target']:.2f}, "
                    f"{row['error_mm']:.1f}"
                    for row in (cells[delay, label] for delay in delays)
                ),
            )
            for label in labels
        ],
    )


def comparison_table(episodes: Sequence[Episode], labels: Sequence[str]) -> str:
    """Markdown: each arm beside the first on the same paths, with 95 % intervals."""
    found = ratios(episodes, labels)
    return markdown_table(
        (
            "d",
            f"beside {labels[0]}",
            "success",
            "on target",
            "error [mm]",
            "kink at seams [rad]",
            "error, median ratio of paths",
        ),
        [
            (
                cell["delay"],
                cell["arm"],
                *(_signed(cell[name], digits) for name, digits in zip(COMPARED, (2, 3, 2, 4), strict=True)),
                found[f"error, d = {cell['delay']}: {cell['arm']} / {labels[0]}"],
            )
            for cell in comparisons(episodes, labels)
        ],
    )


def _signed(value: dict[str, float], digits: int) -> str:
    if not np.isfinite(value["low"]):
        return f"{value['mean']:+.{digits}f} (one path)"
    return f"{value['mean']:+.{digits}f} ({value['low']:+.{digits}f} to {value['high']:+.{digits}f})"


def _delays(episodes: Sequence[Episode]) -> list[int]:
    return list(dict.fromkeys(episode.delay for episode in episodes))


def _delays_and_all(episodes: Sequence[Episode]) -> tuple[int | str, ...]:
    return *_delays(episodes), ALL
