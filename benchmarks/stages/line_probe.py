"""Probes that follow a program which prints a line an interval."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.benchmarks.stages.reading import Reading

_FIRST_LINE_S: Final = 3.0
_END_S: Final = 2.0


class LineProbe:
    """Keeps the newest numbers of a program's lines.

    Args:
        commands: The program and its arguments; other arguments to try in turn, where it tells nothing with those. The
            source goes by the program's name.
        parse: A line to numbers.
    """

    def __init__(self, commands: Sequence[Sequence[str]], parse: Callable[[str], list[Reading]]) -> None:
        self.name = commands[0][0]
        self._commands = commands
        self._parse = parse
        self._newest: dict[tuple[str, str], Reading] = {}
        self._told = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Start the program and wait for a first line; why nothing can be told, empty where something can."""
        program = shutil.which(self.name)
        if program is None:
            return f"{self.name} is not installed"
        for command in self._commands:
            try:
                self._process = subprocess.Popen(  # noqa: S603  the program we looked up
                    [program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            except OSError as error:
                return f"{self.name} cannot be started ({error.strerror})"
            self._told.clear()
            self._thread = threading.Thread(target=self._follow, args=(self._process,), name=self.name, daemon=True)
            self._thread.start()
            if self._told.wait(_FIRST_LINE_S) and self._newest:
                return ""
            self.stop()
        return f"{self.name} tells nothing"

    def read(self) -> list[Reading]:
        """The newest numbers; none once the program ended."""
        running = self._process is not None and self._process.poll() is None
        return list(self._newest.values()) if running else []

    def stop(self) -> None:
        """End the program."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._thread is not None:
            self._thread.join(_END_S)
        if process.stdout is not None:
            process.stdout.close()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            readings = self._parse(line)
            self._newest = {**self._newest, **{(reading.kind, reading.name): reading for reading in readings}}
            if readings:
                self._told.set()
        self._told.set()
