"""What a demonstrator does that the expert does not: it reacts late, its hand is unsteady, and it gets pushed.

Why: an expert that acts on the present leaves the present in its actions. A policy trained to continue such actions
reads the target's position off the locked rows instead of the image, and at run time, where the locked rows come from
an older chunk that knew less, its errors feed themselves. Here the rows come from a demonstrator who saw the target a
while ago, as an older chunk did, and noise that is executed and recorded hides the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_REACTION: Final = 25
"""Longest reaction time, in ticks: after a lock of 12 rows the last locked row saw a target 23 ticks old."""

REACTION_SPAN: Final = (15, 60)
"""For how long a reaction time lasts before another is drawn, in ticks."""

WANDER: Final = 0.03
"""Standard deviation of the noise that is correlated in time (Ornstein-Uhlenbeck), [rad] added to each row."""

WANDER_TICKS: Final = 8.0
"""Its correlation time, in ticks."""

TREMBLE: Final = 0.008
"""Standard deviation of the white noise, [rad] added to each row."""

PUSH_PROBABILITY: Final = 0.015
"""Chance of a push in a tick."""

PUSH: Final = 0.06
"""Largest push of a joint, [rad] in each row while it lasts."""

PUSH_SPAN: Final = (3, 9)
"""How long a push lasts, in ticks."""


def reaction_times(random: np.random.Generator, ticks: int) -> NDArray[np.int64]:
    """Age of what the demonstrator acts on, shape (ticks,), in ticks; short ones more often than long ones."""
    ages = np.zeros(ticks, dtype=np.int64)
    start = 0
    while start < ticks:
        span = int(random.integers(*REACTION_SPAN))
        ages[start : start + span] = round(LONGEST_REACTION * random.random() ** 1.3)
        start += span
    return ages


def row_noise(random: np.random.Generator, ticks: int, joints: int) -> NDArray[np.float64]:
    """Noise that is added to the rows, executed and recorded, shape (ticks, joints), [rad]."""
    keep = np.exp(-1.0 / WANDER_TICKS)
    wander = WANDER * random.standard_normal(joints)
    noise = TREMBLE * random.standard_normal((ticks, joints))
    for tick in range(ticks):
        wander = keep * wander + np.sqrt(1.0 - keep**2) * WANDER * random.standard_normal(joints)
        noise[tick] += wander
        if random.random() < PUSH_PROBABILITY:
            span = int(random.integers(*PUSH_SPAN))
            noise[tick : tick + span] += random.uniform(-PUSH, PUSH, joints)
    return noise


def longest_honest_delay(ages: NDArray[np.int64], tick: int, most: int) -> int:
    """Longest prefix from a tick on whose rows saw nothing newer than an older chunk would have.

    The chunk before one with d locked rows was predicted at least d ticks earlier, so every one of the rows
    tick .. tick + d - 1 must have seen the target at `tick - d` or before.

    Args:
        ages: Reaction times, shape (ticks,).
        tick: First row of the prefix.
        most: Longest prefix asked for.
    """
    allowed = 0
    for delay in range(1, most + 1):
        rows = np.arange(tick, tick + delay)
        if rows[-1] >= len(ages) or (rows - ages[rows]).max() > tick - delay:
            continue
        allowed = delay
    return allowed
