"""Thoughts in slices: what is under way, how long its next slice may take, and which text the policy acts on.

No clock and no thread: time is passed in. Whether a slice fits is asked of the producer (`Producer.can_wait`).
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import ObservationError, PolicyError
from unichunk.runtime.reasoning import THOUGHT_KEY
from unichunk.runtime.upper_quantile import upper_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unichunk.runtime.reasoning import Reasoner

WINDOW: Final = 100
"""Measurements of a slice that are remembered."""

QUANTILE: Final = 0.99


class ThoughtEnd(enum.Enum):
    """How a thought can end."""

    FINISHED = "finished"
    """With a text, on which the policy acts from now on."""
    NOTHING = "nothing"
    """The policy saw nothing to think about; it goes on acting on what it had."""
    ABANDONED = "abandoned"
    """It did not end within its limit; the policy goes on acting on what it had."""
    FAILED = "failed"
    """The policy could not think; it goes on acting on what it had."""


@dataclass(frozen=True)
class Thought:
    """A thought that has ended.

    Attributes:
        end: How.
        text: What was written; where it failed, why.
        steps: Of the reasoner.
        begun_ns, ended_ns: From the start of its first slice to the end of its last, [ns].
        thinking_ns: Time in its slices, [ns]: the rest was acting.
    """

    end: ThoughtEnd
    text: str
    steps: int
    begun_ns: int
    ended_ns: int
    thinking_ns: int


class Thinker:
    """Thinks one slice after another, for one thread.

    A slice is the reasoner's `begin` or one of its `step`s; they are measured apart, since a `begin` reads the whole
    observation.

    Args:
        reasoner: Of the policy; None for one that does not think.
        gap_s: Least time from the end of a thought to the begin of the next, [s].
        patience_s: How old an observation that could be acted on may become by thinking, [s]; from one chunk to the
            next there is one slice all the same, so that every thought comes to its end.

    Attributes:
        text: Of the last finished thought; empty before, and where it was forgotten.
    """

    def __init__(self, reasoner: Reasoner | None, gap_s: float = 0.0, patience_s: float = 0.0) -> None:
        self._reasoner = reasoner
        self.patience_s = patience_s
        self._gap_ns = round(gap_s * 1e9)
        self._begins: deque[float] = deque(maxlen=WINDOW)
        self._steps: deque[float] = deque(maxlen=WINDOW)
        self._begun_ns: int | None = None
        self._taken = 0
        self._thinking_ns = 0
        self._next_ns: int | None = None
        self.text = ""

    @property
    def thinks(self) -> bool:
        """Whether there is anybody to think."""
        return self._reasoner is not None

    def wanted(self, now_ns: int) -> bool:
        """Whether a thought is under way, or may begin."""
        if self._reasoner is None:
            return False
        return self._begun_ns is not None or self._next_ns is None or now_ns >= self._next_ns

    @property
    def slice_s(self) -> float | None:
        """How long the next slice hardly ever takes, [s]; None where none like it was measured yet."""
        measured = self._begins if self._begun_ns is None else self._steps
        return upper_quantile(measured, QUANTILE) if measured else None

    def think(
        self, observe: Callable[[], Mapping[str, Any]], clock: Callable[[], int], *, measured: bool = True
    ) -> Thought | None:
        """One slice.

        Args:
            observe: Gives the observation that a new thought begins on; not called in the middle of one.
            clock: Tells the time, [ns]; asked before and after.
            measured: Whether this slice says how long others will take; the first ones, which fill caches, do not.

        Returns:
            The thought where it ended with this slice.
        """
        reasoner, begun_ns = self._reasoner, clock()
        assert reasoner is not None
        text, fault, first = None, "", self._begun_ns is None
        if first:
            self._begun_ns, self._taken, self._thinking_ns = begun_ns, 0, 0
        try:
            if first:
                reasoner.begin(observe())
            else:
                self._taken += 1
                text = reasoner.step()
        except (PolicyError, ObservationError) as error:
            fault = str(error)
        ended_ns = clock()
        if measured and not fault:
            (self._begins if first else self._steps).append((ended_ns - begun_ns) / 1e9)
        self._thinking_ns += ended_ns - begun_ns
        if fault:
            return self._end(ThoughtEnd.FAILED, fault, ended_ns)
        if text is not None:
            return self._end(ThoughtEnd.FINISHED if text else ThoughtEnd.NOTHING, text, ended_ns)
        return self._end(ThoughtEnd.ABANDONED, "", ended_ns) if self._taken >= reasoner.most_steps else None

    def rest(self, now_ns: int) -> None:
        """Forget the thought under way, and begin the next after the usual gap: the robot sets out anew."""
        self._begun_ns = None
        self._next_ns = now_ns + self._gap_ns

    def forget(self) -> None:
        """Have no text to act on before the next thought ends: what the last one was about may be long past."""
        self.text = ""

    def told(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """An observation with the text to act on."""
        return {**inputs, THOUGHT_KEY: self.text} if self.text else inputs

    def _end(self, end: ThoughtEnd, text: str, now_ns: int) -> Thought:
        assert self._begun_ns is not None
        thought = Thought(end, text, self._taken, self._begun_ns, now_ns, self._thinking_ns)
        self._begun_ns = None
        self._next_ns = now_ns + self._gap_ns
        if end is ThoughtEnd.FINISHED:
            self.text = text
        return thought
