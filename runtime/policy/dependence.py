"""Whether the rows that follow a locked prefix still depend on what the policy sees.

The trap of training with delays: where the recorded actions are clean, a prefix tells what the demonstrator saw later.
A policy then learns to go on from its prefix and to look past its pictures, and on a robot, where the prefix comes from
an older chunk of its own that knew no more, its errors feed themselves. The symptom is measured, not the cause: show
the policy the pictures and the instruction of another moment, and see by how much its rows change with the prefix
locked, against how much they change without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

HARDLY: Final = 0.6
"""A dependence below this is the symptom. In the async benchmark (`unichunk bench dependence`) a policy that learned from
clean demonstrations has 0.2 to 0.56, one that learned from noisy ones 0.9 and more up to a quarter of a chunk."""

FEWEST: Final = 8
"""Moments with a locked prefix that are needed to say anything."""

LEAST_CHANGE: Final = 0.02
"""Where pictures of other moments change the rows by less than this even without a prefix (root mean square, in
normalized units), there was nothing to react to."""


@dataclass(frozen=True)
class Dependence:
    """How much the rows after a prefix depend on what is seen.

    Attributes:
        moments: Moments with a locked prefix that were looked at.
        locked: By how much the rows after the prefix change with what is seen, root mean square, normalized.
        alone: The same without a prefix.
        ratio: The first over the second: about 1 where a policy looks, near 0 where it only goes on from its prefix.
            None where there was nothing to react to, or too few moments.
    """

    moments: int
    locked: float
    alone: float

    @property
    def ratio(self) -> float | None:
        """See the class."""
        if self.moments < FEWEST or self.alone < LEAST_CHANGE:
            return None
        return self.locked / self.alone

    @property
    def hardly(self) -> bool:
        """Whether the rows hardly depend on what is seen."""
        return self.ratio is not None and self.ratio < HARDLY


def dependence(
    predict: Callable[[int, int, bool], NDArray[np.float32]], delays: Sequence[int]
) -> Dependence:
    """Measure it over the moments of a run.

    The rows of a moment are predicted four times from the same noise: with its own pictures and with those of the
    moment half a run away, with its prefix locked and without. Own state and prefix stay those of the moment. Without a
    prefix, a reaction may grow along the chunk (positions that go somewhere) or fade (forces that are soon corrected),
    so its change is taken over the rows of the same ticks, or over those as far from where the chunk is free, whichever
    is less: neither kind of policy is then blamed.

    Args:
        predict: Moment whose state and prefix are told, moment whose pictures are shown, whether the prefix is locked
            -> the robot's own values of all rows, shape (T, n), normalized.
        delays: d of each moment; those with d = 0 have no prefix and are left out.
    """
    locked, same, aligned, count = 0.0, 0.0, 0.0, 0
    moments = [moment for moment, delay in enumerate(delays) if delay > 0]
    for place, moment in enumerate(moments):
        other, delay = moments[(place + len(moments) // 2) % len(moments)], delays[moment]
        with_prefix, without = (
            np.square(predict(moment, other, lock) - predict(moment, moment, lock)).astype(np.float64)
            for lock in (True, False)
        )
        locked += with_prefix[delay:].sum()
        same += without[delay:].sum()
        aligned += without[: len(without) - delay].sum()
        count += with_prefix[delay:].size
    if not count:
        return Dependence(len(moments), 0.0, 0.0)
    return Dependence(len(moments), float(np.sqrt(locked / count)), float(np.sqrt(min(same, aligned) / count)))
