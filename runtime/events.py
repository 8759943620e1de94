"""A short log of what happened in a run, for its report."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

KEPT: Final = 200


class EventLog:
    """The last events, with the time since the log was made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._events: deque[dict[str, object]] = deque(maxlen=KEPT)

    def add(self, kind: str, text: str) -> None:
        """Write down an event."""
        self._events.append({"at_s": round(time.monotonic() - self._begun, 3), "kind": kind, "text": text})

    def list(self) -> list[dict[str, object]]:
        """The events, oldest first: `at_s`, `kind`, `text`."""
        return list(self._events)
