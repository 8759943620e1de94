"""What there is to see of a run: as a panel, as a line, and as news."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from unichunk.runtime.outcome import RunState

if TYPE_CHECKING:
    from unichunk.runtime.supervisor import Supervisor

COLOURS: Final = {
    RunState.CONNECTING: "yellow",
    RunState.SYNCING: "cyan",
    RunState.RUNNING: "green",
    RunState.HOLDING: "red",
    RunState.STOPPED: "white",
}


class RunPicture:
    """Reads a supervisor that goes on meanwhile: the numbers of one picture may be a moment apart.

    Args:
        title: What runs where.
        duration_s: How long it shall run, [s]; None: until it is stopped.
        supervisor: What to look at.
    """

    def __init__(self, title: str, duration_s: float | None, supervisor: Supervisor) -> None:
        self._title = title
        self._duration_s = duration_s
        self._supervisor = supervisor
        self._told: dict[str, object] | None = None
        self._last = (time.monotonic(), 0, 0)
        self._rates = (0.0, 0.0)

    @property
    def running(self) -> bool:
        """Whether the policy moves the robot."""
        return self._supervisor.state is RunState.RUNNING

    def panel(self) -> Panel:
        """A panel for a terminal."""
        table = Table.grid(padding=(0, 2))
        for name, value in self._rows():
            table.add_row(Text(name, "dim"), Text(value))
        state = self._supervisor.state
        # Texts, not markup: a note may hold brackets of its own.
        subtitle = Text.assemble((state.value, f"bold {COLOURS[state]}"), " ", _last_line(self._supervisor.note))
        return Panel(table, title=Text(self._title), subtitle=subtitle, width=76)

    def line(self) -> str:
        """The panel's content as one line."""
        return ", ".join(f"{name} {value}" for name, value in self._rows())

    def news(self) -> list[str]:
        """A line for every event since the last time."""
        events = self._supervisor.events.list()
        known = next((i for i, event in enumerate(events) if event is self._told), -1)
        if events:
            self._told = events[-1]
        return [f"{event['kind']}: {_last_line(str(event['text']))}".rstrip(": ") for event in events[known + 1 :]]

    def _rows(self) -> list[tuple[str, str]]:
        supervisor = self._supervisor
        control, chunks = supervisor.loop.telemetry, supervisor.inference.telemetry
        latency, lateness = chunks.latency, control.lateness
        self._measure(control.steps, chunks.chunks)
        of = "" if self._duration_s is None else f" of {self._duration_s:g}"
        text = supervisor.inference.thoughts.text
        missed = [("missed answers", f"{chunks.missed}{', none now' if chunks.missed_in_a_row else ''}")]
        return [
            ("time", f"{supervisor.elapsed_s:.1f}{of} s"),
            ("commands", f"{self._rates[0]:.0f} Hz"),
            ("chunks", f"{self._rates[1]:.1f} Hz"),
            ("d", f"{chunks.delay} ticks{'' if supervisor.locks else ', stitched, not locked'}"),
            ("chunk latency", f"{latency.percentile(0.5) / 1e3:.0f} ms p50, {latency.maximum / 1e3:.0f} ms max"),
            ("lateness", f"{lateness.percentile(0.5):.0f} us p50, {lateness.percentile(0.99):.0f} us p99"),
            ("underruns", str(sum(motion.underruns for motion in supervisor.motions))),
            ("violations", str(sum(motion.violations for motion in supervisor.motions))),
            ("guard", f"{control.interventions} interventions"),
            *(missed if chunks.missed else []),
            *([("acts on", repr(text))] if text else []),
        ]

    def _measure(self, commands: int, chunks: int) -> None:
        now = time.monotonic()
        then, old_commands, old_chunks = self._last
        if now - then > 0.2:
            self._rates = ((commands - old_commands) / (now - then), (chunks - old_chunks) / (now - then))
            self._last = (now, commands, chunks)


def _last_line(text: str) -> str:
    """Of a traceback, what it ends with; the report holds all of it."""
    return "".join(text.strip().splitlines()[-1:])
