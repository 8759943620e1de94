"""One robot of a fleet: a `unichunk run` in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from unichunk.server.say import say

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from typing import IO

END_S: Final = 20.0
"""How long a run that was told to stop may take to hold its robot and end, [s]."""

_REST_S: Final = 2.0


class FleetRobot:
    """A robot's run. What it says on its standard error is passed on, with its name before each line.

    Args:
        name: Of the robot in the fleet.
        arguments: Of `unichunk run`.
    """

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self.name = name
        command = [sys.executable, "-m", "unichunk.server.command_line", "run", *arguments]
        # A session of its own: what Ctrl-C means for the robots is passed on to each of them, once.
        self._process = subprocess.Popen(  # noqa: S603  our own module
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._said: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._said.append), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self._pass_on), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def status(self) -> int:
        """Exit status of a run that has ended, as shells report it."""
        status = self._process.returncode
        return 128 - status if status < 0 else status

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def summary(self) -> str:
        """What it said on its standard output, after it has ended."""
        for thread in self._threads:
            thread.join(_REST_S)
        lines = [self._headline(line) if i == 0 else line for i, line in enumerate(self._said)]
        return "".join(lines)

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on; nothing where it has ended."""
        with contextlib.suppress(OSError):
            self._process.send_signal(number)

    def end(self) -> None:
        """End it, by force if need be; it may have ended already."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_REST_S)
        for stream, thread in zip((self._process.stdout, self._process.stderr), self._threads, strict=True):
            if stream is not None and not thread.is_alive():
                stream.close()

    def _headline(self, line: str) -> str:
        """The first line with the robot's name in the fleet, which may have a number."""
        return f"{self.name}:{line.partition(':')[2]}"

    def _read(self, stream: IO[str], take: Callable[[str], object]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                take(line)

    def _pass_on(self, line: str) -> None:
        say(f"{self.name}: {line}", sys.stderr)
