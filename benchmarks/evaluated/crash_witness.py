"""Somebody outside who remembers every answer, and holds every next process to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.benchmarks.evaluated.crash_life import Asked, Told


class Witness:
    """Of one campaign.

    Attributes:
        log: Key and hash of every event that was seen, in order.
        asked: Every command, by key.
        answers: Number of the event, by key, of every answer that was given.
        unanswered: The command that a process was killed over; None: none.
        wrong: Everything that may not happen, one line each.
        complete: Whether nothing is left to do.
        resolved: Of the unanswered ones: how many were found recorded, and how many not.
    """

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.asked: dict[str, Asked] = {}
        self.answers: dict[str, int] = {}
        self.unanswered: Asked | None = None
        self.wrong: list[str] = []
        self.complete = False
        self.resolved = {True: 0, False: 0}
        self._scores: dict[str, str] = {}

    def hear(self, told: Told) -> None:
        """Compare what a process tells with what is known."""
        if told.what == "complete":
            self.complete = True
        elif told.what == "wrong":
            self.wrong.append(told.text)
        elif told.what != "step":
            getattr(self, f"_hear_{told.what}")(told)

    def _hear_event(self, told: Told) -> None:
        if told.seq != len(self.log) + 1:
            self.wrong.append(f"lost: event {told.seq} after {len(self.log)}")
        if told.key not in self.asked:
            self.wrong.append(f"invented: event {told.seq} with key {told.key}")
        if any(key == told.key for key, _ in self.log):
            self.wrong.append(f"duplicated: key {told.key} in event {told.seq}")
        self.log.append((told.key, told.text))

    def _hear_score(self, told: Told) -> None:
        if self._scores.setdefault(told.key, told.text) != told.text:
            self.wrong.append(f"rescored: trial {told.key}: {told.text}")

    def _hear_opened(self, told: Told) -> None:
        if told.seq < len(self.log):
            self.wrong.append(f"lost: the log ends at {told.seq}, expected {len(self.log)}")
        for key, seq in self.answers.items():
            if seq > len(self.log) or self.log[seq - 1][0] != key:
                self.wrong.append(f"lost: key {key} was answered with event {seq}")
        if self.unanswered is not None:
            self.resolved[any(key == self.unanswered.key for key, _ in self.log)] += 1

    def _hear_asks(self, told: Told) -> None:
        assert told.asked is not None
        self.asked[told.asked.key] = told.asked
        self.unanswered = told.asked

    def _hear_answer(self, told: Told) -> None:
        if self.answers.setdefault(told.key, told.seq) != told.seq:
            self.wrong.append(f"duplicated: key {told.key} was event {self.answers[told.key]}, now {told.seq}")
        self.unanswered = None
