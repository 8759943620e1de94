"""What a server says of what happens: one line per event, as JSON or as text, written by a thread of its own.

Whoever logs never waits: where nobody takes the lines, they are counted and dropped. Nothing that a client sent goes
into a line but its length, and no key ever.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, TypeAlias

from unichunk.server.say import say

if TYPE_CHECKING:
    from collections.abc import Callable

LogFormat: TypeAlias = Literal["json", "text"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

MOST_WAITING: Final = 10_000
"""Lines that wait to be written."""

LONGEST_TEXT: Final = 1000
"""Characters of one field of a line."""

_ORDER: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3}


class Log:
    """Where events go.

    Args:
        style: JSON for machines, text for people.
        level: Events below it are dropped.
        stream: None for the standard error.
        clock: Says what time it is.
    """

    def __init__(
        self,
        style: LogFormat = "text",
        level: Level = "info",
        stream: TextIO | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._line = _json_line if style == "json" else _text_line
        self._least = _ORDER[level]
        self._stream = stream
        self._clock = clock
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._writer: threading.Thread | None = None

    def wants(self, level: Level) -> bool:
        """Whether an event of this level would be written."""
        return _ORDER[level] >= self._least

    def event(self, level: Level, event: str, **fields: Any) -> None:
        """Log one event; never waits and never raises.

        Args:
            level: How serious it is.
            event: What happened, a word or two.
            fields: Its facts: numbers, text, None (left out).
        """
        if not self.wants(level):
            return
        known = {name: _short(value) for name, value in fields.items() if value is not None}
        line = self._line(self._clock(), level, event, known)
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="log", daemon=True)
            self._writer.start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self, wait_s: float = 1.0) -> None:
        """Write what is left, if anybody takes it in time."""
        if self._writer is not None:
            try:
                self._lines.put(None, timeout=wait_s)
            except queue.Full:
                return
            self._writer.join(wait_s)
            self._writer = None

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            if dropped:
                fields = {"lines": dropped}
                say(self._line(self._clock(), "warning", "log lines dropped", fields), self._stream or sys.stderr)
            say(line, self._stream or sys.stderr)


class LogHandler(logging.Handler):
    """Hands on what libraries log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log a library's record as one event; a traceback comes as one field of it."""
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        self._log.event(level, "library", logger=record.name, message=record.getMessage(), trace=trace)


def _short(value: object) -> object:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        # The end of a traceback says what happened.
        return f"{value[: LONGEST_TEXT // 2]} ... {value[-LONGEST_TEXT // 2 :]}"
    if isinstance(value, float):
        return round(value, 6)
    return value


def _json_line(moment: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
    return json.dumps({"time": moment.isoformat(), "level": level, "event": event, **fields}, default=str) + "\n"


def _text_line(moment: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
    # Quoted as JSON does it: whatever a value holds, the line stays one.
    facts = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} {level} {event}{facts}\n"


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text.isprintable() and " " not in text and text else json.dumps(text)
