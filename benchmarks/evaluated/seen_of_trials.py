"""Numbers of a trial that a classifier can use, in groups by what they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.benchmarks.evaluated.observer import Sight, Trial

QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def _times(values: list[float]) -> list[float]:
    """What a distribution of times is like: quantiles, mean, spread, whether long ones follow each other."""
    times = np.array(values)
    centred = times - times.mean()
    # Of a single answer there is nothing to follow.
    together = float(
        (centred[1:] * centred[:-1]).sum() / max(1, len(times) - 1) / max(float((centred**2).mean()), 1e-18)
    )
    return [*np.quantile(times, QUANTILES).tolist(), float(times.mean()), float(times.std()), together]


def _each(sights: tuple[Sight, ...], *names: str) -> list[float]:
    """Least, mean and most of what answers have."""
    values = np.array([[getattr(sight, name) for name in names] for sight in sights], np.float64)
    return [*values.min(axis=0), *values.mean(axis=0), *values.max(axis=0)]


_FEATURES: Final[dict[str, Callable[[Trial], list[float]]]] = {
    "sizes": lambda trial: _each(trial.sights, "bytes"),
    "fields": lambda trial: _each(trial.sights, "fields", "rows", "item"),
    "greeting": lambda trial: [float(trial.greeting)],
    "errors": lambda trial: [float(trial.error), float(trial.code)],
    "response times": lambda trial: _times([sight.response_s for sight in trial.sights]),
    "arrival times": lambda trial: _times([sight.interval_s for sight in trial.sights]),
}
EVERYTHING: Final = "everything"
ONSET: Final = "motion onset"
GROUPS: Final = (*_FEATURES, EVERYTHING, ONSET)
"""What trials are told apart by. `everything` leaves the onset of motion out, as all motion."""


def features_of(trial: Trial, group: str) -> list[float]:
    """The numbers of a group."""
    if group == ONSET:
        return [float(onset_of(trial))]
    if group == EVERYTHING:
        return [number for features in _FEATURES.values() for number in features(trial)]
    return _FEATURES[group](trial)


def onset_of(trial: Trial) -> int:
    """After how many answers there was motion in one; all of them where there was none."""
    return next((number for number, sight in enumerate(trial.sights) if sight.moved), len(trial.sights))
