"""The live view of a run: a small panel in a terminal, lines elsewhere; drawn by a thread of its own."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live

from unichunk.server.run_picture import RunPicture

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from unichunk.runtime.supervisor import Supervisor

PANEL_S: Final = 0.25
"""How often the panel is drawn, [s]."""

LINE_S: Final = 2.0
"""How often a line is written while running, [s]; what happens is written as it happens."""

LOOK_S: Final = 0.05
"""How often the events are looked at, [s]."""

LEAVE_S: Final = 1.0
"""How long a terminal that takes nothing may delay the end of the view, [s]."""


class LiveView:
    """Shows what a supervisor is doing, while it is entered.

    A terminal can stop taking what is written to it (Ctrl-S, a stalled connection) or go away. Neither may reach what
    supervises a robot: the supervisor knows nothing of the view, whose thread reads its public state, may block, and
    ends by itself where nobody can be shown anything.

    Args:
        title: What runs where.
        duration_s: How long it shall run, [s]; None: until it is stopped.
        supervisor: What to show.
        stream: Where to; None: nowhere, as where the command was started without a standard error.
    """

    def __init__(self, title: str, duration_s: float | None, supervisor: Supervisor, stream: TextIO | None) -> None:
        self._picture = RunPicture(title, duration_s, supervisor)
        self._stream = stream
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)

    def __enter__(self) -> LiveView:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(LEAVE_S)

    def _run(self) -> None:
        if self._stream is None:
            return
        try:
            # A file of its own: a thread stuck in writing keeps the file's lock, and the interpreter wants the one of
            # sys.stderr when it ends.
            with os.fdopen(os.dup(self._stream.fileno()), "w", errors="backslashreplace") as file:
                self._draw(file)
        except (OSError, ValueError):
            pass  # broken or closed: nobody is watching any more

    def _draw(self, file: TextIO) -> None:
        console = _Console(file=file)
        if console.is_terminal and not console.is_dumb_terminal:
            self._draw_panel(console)
        else:
            self._write_lines(file)

    def _draw_panel(self, console: Console) -> None:
        with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
            while not self._over.wait(PANEL_S):
                live.update(self._picture.panel(), refresh=True)
            live.update(self._picture.panel(), refresh=True)

    def _write_lines(self, file: TextIO) -> None:
        due = 0.0
        over = False
        while not over:
            over = self._over.wait(LOOK_S)
            lines = self._picture.news()
            now = time.monotonic()
            if self._picture.running and not over and (lines or now >= due):
                lines.append(self._picture.line())
                due = now + LINE_S
            if lines:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the view end; what it overrides would end the thread and silence the standard output too."""
        raise BrokenPipeError
