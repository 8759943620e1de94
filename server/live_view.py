"""The live view of a run: a small panel in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from unichunk.runtime.outcome import RunState

if TYPE_CHECKING:
    from types import TracebackType

    from unichunk.runtime.supervisor import Supervisor

PANEL_S: Final = 0.25
LINE_S: Final = 2.0

COLOURS: Final = {
    RunState.CONNECTING: "yellow",
    RunState.SYNCING: "cyan",
    RunState.RUNNING: "green",
    RunState.HOLDING: "red",
    RunState.STOPPED: "white",
}


class LiveView:
    """Shows what a supervisor is doing; call it as often as you like, it draws a few times a second.

    Args:
        title: What runs where.
        duration_s: How long it shall run, [s]; None: until it is stopped.
    """

    def __init__(self, title: str, duration_s: float | None) -> None:
        self._title = title
        self._duration_s = duration_s
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._next = 0.0
        self._last = (time.monotonic(), 0, 0)
        self._rates = (0.0, 0.0)
        self._state: RunState | None = None

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, supervisor: Supervisor) -> None:
        """Draw, if it is time to or the state changed."""
        now = time.monotonic()
        changed = supervisor.state is not self._state
        if now < self._next and not changed:
            return
        self._state = supervisor.state
        self._next = now + (PANEL_S if self._live is not None else LINE_S)
        self._measure(supervisor, now)
        if self._live is not None:
            self._live.update(self._panel(supervisor), refresh=True)
        else:
            sys.stderr.write(self._line(supervisor) + "\n")

    def _measure(self, supervisor: Supervisor, now: float) -> None:
        commands, chunks = supervisor.loop.telemetry.steps, supervisor.inference.telemetry.chunks
        then, old_commands, old_chunks = self._last
        if now - then > 0.2:
            self._rates = ((commands - old_commands) / (now - then), (chunks - old_chunks) / (now - then))
            self._last = (now, commands, chunks)

    def _rows(self, supervisor: Supervisor) -> list[tuple[str, str]]:
        control, chunks = supervisor.loop.telemetry, supervisor.inference.telemetry
        latency, lateness = chunks.latency, control.lateness
        of = "" if self._duration_s is None else f" of {self._duration_s:g}"
        return [
            ("time", f"{supervisor.elapsed_s:.1f}{of} s"),
            ("commands", f"{self._rates[0]:.0f} Hz"),
            ("chunks", f"{self._rates[1]:.1f} Hz"),
            ("d", f"{chunks.delay} ticks"),
            ("chunk latency", f"{latency.percentile(0.5) / 1e3:.0f} ms p50, {latency.maximum / 1e3:.0f} ms max"),
            ("lateness", f"{lateness.percentile(0.5):.0f} us p50, {lateness.percentile(0.99):.0f} us p99"),
            ("underruns", str(sum(motion.underruns for motion in supervisor.motions))),
            ("violations", str(sum(motion.violations for motion in supervisor.motions))),
            ("guard", f"{control.interventions} interventions"),
        ]

    def _panel(self, supervisor: Supervisor) -> Panel:
        table = Table.grid(padding=(0, 2))
        for name, value in self._rows(supervisor):
            table.add_row(f"[dim]{name}[/dim]", value)
        colour = COLOURS[supervisor.state]
        state = f"[bold {colour}]{supervisor.state.value}[/] {supervisor.note}"
        return Panel(table, title=self._title, subtitle=state, width=76)

    def _line(self, supervisor: Supervisor) -> str:
        if supervisor.state is not RunState.RUNNING:
            return f"{supervisor.state.value}: {supervisor.note}"
        return ", ".join(f"{name} {value}" for name, value in self._rows(supervisor))
