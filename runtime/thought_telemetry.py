"""What is written down about thoughts: counters, texts with their times, and news for the supervisor."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.thinker import Thought, ThoughtEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT: Final = 64
"""Thoughts that the report shows, and news that wait for somebody to hear them."""


class ThoughtTelemetry:
    """Written by the thread that thinks; `news` is for one other thread.

    Attributes:
        text: What the policy acts on; empty before the first, and where it was forgotten.
        answers: Texts that came with a chunk, from a policy that thinks and acts in one answer.
    """

    def __init__(self) -> None:
        self.text = ""
        self.answers = 0
        self._ends: Counter[ThoughtEnd] = Counter()
        self._steps = 0
        self._thinking_ns = 0
        self._longest_ns = 0
        self._kept: deque[Thought] = deque(maxlen=KEPT)
        self._news: deque[tuple[str, str]] = deque(maxlen=KEPT)

    def add(self, thought: Thought) -> None:
        """Write down a thought that ended."""
        self._ends[thought.end] += 1
        self._steps += thought.steps
        self._thinking_ns += thought.thinking_ns
        self._longest_ns = max(self._longest_ns, thought.ended_ns - thought.begun_ns)
        known = bool(self._kept) and (self._kept[-1].end, self._kept[-1].text) == (thought.end, thought.text)
        self._kept.append(thought)
        if not known:
            self._tell(thought)

    def forget(self) -> None:
        """Write down that there is no text to act on any more; the next one is news, even if it is the same."""
        self.text = ""

    def answer(self, text: str | None) -> None:
        """Write down what came with a chunk; None and nothing are no text."""
        if text:
            self.answers += 1
            self._say(text, "")

    def news(self) -> Iterator[tuple[str, str]]:
        """Kind and text of every event since the last time; the same again is none."""
        while self._news:
            yield self._news.popleft()

    def report(self, start_ns: int) -> dict[str, Any] | None:
        """Counts, times, and the last thoughts; None where nobody thought.

        Args:
            start_ns: What times are told from, [ns].
        """
        if not self._ends and not self.answers:
            return None
        return {
            "text": self.text,
            **{end.value: self._ends[end] for end in ThoughtEnd},
            "with_chunks": self.answers,
            "tokens": self._steps,
            "thinking_s": round(self._thinking_ns / 1e9, 3),
            "longest_s": round(self._longest_ns / 1e9, 3),
            "last": [_entry(thought, start_ns) for thought in list(self._kept)],
        }

    def _tell(self, thought: Thought) -> None:
        took_s = (thought.ended_ns - thought.begun_ns) / 1e9
        if thought.end is ThoughtEnd.FINISHED:
            self._say(thought.text, f" ({thought.steps} tokens in {took_s:.2f} s)")
        elif thought.end is ThoughtEnd.ABANDONED:
            self._news.append(("thought abandoned", f"no end after {thought.steps} tokens, {self._acts()}"))
        elif thought.end is ThoughtEnd.FAILED:
            self._news.append(("thought failed", f"{thought.text}; {self._acts()}"))

    def _say(self, text: str, remark: str) -> None:
        if text != self.text:
            self._news.append(("thought", f"{text!r}{remark}"))
        self.text = text

    def _acts(self) -> str:
        return f"acting on {self.text!r}" if self.text else "acting on the instruction"


def _entry(thought: Thought, start_ns: int) -> dict[str, Any]:
    return {
        "at_s": round((thought.ended_ns - start_ns) / 1e9, 3),
        "end": thought.end.value,
        "text": thought.text,
        "tokens": thought.steps,
        "took_s": round((thought.ended_ns - thought.begun_ns) / 1e9, 3),
        "thinking_s": round(thought.thinking_ns / 1e9, 3),
    }
