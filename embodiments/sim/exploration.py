"""What a demonstrator does that the expert does not: it reacts late, its hand is unsteady, and it gets pushed.

Why: an expert that acts on the present leaves the present in its actions. A policy trained to continue such actions
reads the target's position off the locked rows instead of the image, and at run time, where the locked rows come from
an older chunk that knew less, its errors feed themselves. Here the rows come from a demonstrator who saw the target a
while ago, as an older chunk did, and noise that is executed and recorded hides the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.expert import Expert

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

REACTION_SPAN: Final = (15, 60)
"""For how long a reaction time lasts before another is drawn, in ticks: longer than a locked prefix."""

WANDER: Final = 0.6
"""Standard deviation of the noise that is correlated in time (Ornstein-Uhlenbeck), as a speed, [rad/s]."""

WANDER_S: Final = 0.4
"""Its correlation time, [s]."""

TREMBLE: Final = 0.16
"""Standard deviation of the white noise, as a speed, [rad/s]."""

PUSHES: Final = 0.3
"""Pushes per second, on average."""

PUSH: Final = 1.2
"""Largest speed of a push of a joint, [rad/s]."""

PUSH_S: Final = (0.15, 0.4)
"""Shortest and longest push, [s]."""

OF_FASTEST: Final = 0.8
"""The largest push is at most this share of the expert's own largest step, and all other noise less in proportion:
what a slow joint can do."""

WIDE_RANGE: Final = 1.9
"""A joint with a range of motion below this gets less, in proportion, [rad]."""

SHARES: Final = {"arm": 1.0, "gripper": 1.0, "hand": 0.5, "head": 0.2, "waist": 0.1}
"""How much noise joints get, by the kind of their group: a waist moves everything, a head the picture."""


def longest_reaction(max_delay: int) -> int:
    """Longest reaction time that demonstrations need for prefixes of `max_delay` rows, in ticks.

    After a lock of d rows the last locked row saw a target 2 d - 1 ticks old.
    """
    return 2 * max_delay + 1


def reaction_times(random: np.random.Generator, ticks: int, longest: int) -> NDArray[np.int64]:
    """Age of what the demonstrator acts on, shape (ticks,), in ticks; short ones more often than long ones.

    Args:
        random: Where chance comes from.
        ticks: How many.
        longest: Longest reaction time, in ticks.
    """
    ages = np.zeros(ticks, dtype=np.int64)
    start = 0
    while start < ticks:
        span = int(random.integers(*REACTION_SPAN))
        ages[start : start + span] = round(longest * random.random() ** 1.3)
        start += span
    return ages


class Exploration:
    """Noise that is added to the rows, executed and recorded.

    Args:
        spec: The robot.

    Attributes:
        share: How much of the noise each joint gets, shape (n,), at most 1.
        scale: What a speed of 1 rad/s above is for each joint and row, shape (n,), [rad].
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        limits = spec.limits
        self.share = np.array([SHARES[group.kind] for group in spec.groups.values() for _ in group.joints])
        self.share *= np.minimum(1.0, (limits.upper - limits.lower) / WIDE_RANGE)
        self.scale = self.share * np.minimum(1.0 / spec.action_hz, OF_FASTEST * Expert(spec).max_step / PUSH)
        self._hz = spec.action_hz

    def noise(self, random: np.random.Generator, ticks: int) -> NDArray[np.float64]:
        """Noise of an episode, shape (ticks, n), [rad]."""
        joints, keep = self.scale.size, np.exp(-1.0 / (WANDER_S * self._hz))
        shortest, longest = (max(1, round(seconds * self._hz)) for seconds in PUSH_S)
        wander = WANDER * random.standard_normal(joints)
        noise = TREMBLE * random.standard_normal((ticks, joints))
        for tick in range(ticks):
            wander = keep * wander + np.sqrt(1.0 - keep**2) * WANDER * random.standard_normal(joints)
            noise[tick] += wander
            if random.random() < PUSHES / self._hz:
                span = int(random.integers(shortest, longest + 1))
                noise[tick : tick + span] += random.uniform(-PUSH, PUSH, joints)
        return self.scale * noise


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
