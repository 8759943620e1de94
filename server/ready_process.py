"""A process of ours that says when it is ready, and that ends with the one that started it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_LOOK_S: Final = 0.02


class ReadyProcess:
    """A Python module as a process, with the options `--ready-fd` and `--until-stdin-closes`.

    Args:
        name: What to call it in messages: `the simulated driver`.
        module: The module.
        options: Its further options.
        said: A file for what it says on its standard error.
        start_s: How long it may take to be ready, [s].
        end_s: How long it may take to end before it is killed, [s].
    """

    def __init__(
        self, name: str, module: str, options: Sequence[str], said: Path, *, start_s: float, end_s: float
    ) -> None:
        self._name = name
        self._said = said
        self._start_s = start_s
        self._end_s = end_s
        self._listening = 0
        self._ended = False
        self._wrong_end = ""
        self._ready, ready = os.pipe()
        # The pipe to its input closes however this process ends, and ends that one with it.
        command = [sys.executable, "-m", module, *options, "--ready-fd", str(ready), "--until-stdin-closes"]
        try:
            with said.open("wb") as file:
                # A session of its own: Ctrl-C goes to this process, which ends that one when it is time.
                self._process = subprocess.Popen(  # noqa: S603  our own module
                    command, start_new_session=True, pass_fds=[ready], stdin=subprocess.PIPE, stderr=file
                )
        except BaseException:
            os.close(self._ready)
            raise
        finally:
            os.close(ready)

    def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Wait until it says that it is ready.

        Args:
            check: Called again and again meanwhile; may raise.

        Raises:
            UnichunkError: Where it does not come up; with what it said.
        """
        deadline = time.monotonic() + self._start_s
        while not select.select([self._ready], [], [], _LOOK_S)[0]:
            check()
            if time.monotonic() > deadline:
                raise UnichunkError(f"{self._name} was not up after {self._start_s:g} s: is the machine overloaded?")
        if not os.read(self._ready, 1):
            # It closed the pipe without a word: it is ending.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._end_s)
            raise UnichunkError(f"{self._name} did not come up ({self._status()}): {self._last_words()}")
        self._listening = self._said.stat().st_size

    def failure(self) -> str:
        """How it ended and what it said last; empty while it runs."""
        if self._process.poll() is None:
            return ""
        return f"{self._name} ended ({self._status()}): {self._last_words()}"

    def warnings(self) -> list[str]:
        """What it warned of since it was ready: its lines that begin so."""
        return [line.removeprefix("warning: ") for line in self._lines() if line.startswith("warning: ")]

    def end(self, end_s: float | None = None) -> str:
        """End it, by force if need be; it may have ended already. A second call only says the same again.

        Args:
            end_s: How long it may take, [s]; None: as long as it may always.

        Returns:
            How it ended and what it said last, where it did not end with status 0; else nothing.
        """
        if not self._ended:
            self._ended = True
            self._wrong_end = self._end(self._end_s if end_s is None else end_s)
        return self._wrong_end

    def _end(self, end_s: float) -> str:
        assert self._process.stdin is not None
        os.close(self._ready)
        self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(end_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return f"{self._name} did not end within {end_s:g} s and was killed: {self._last_words()}"
        return self.failure() if self._process.returncode else ""

    def _status(self) -> str:
        status = self._process.returncode
        if status is not None and status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"status {status}"

    def _last_words(self) -> str:
        """The line in which it said what was wrong, or else its last one, since it was ready."""
        lines = self._lines()
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or ["without a word"])[-1].removeprefix("error: ")

    def _lines(self) -> list[str]:
        """What it said since it was ready."""
        return self._said.read_bytes()[self._listening :].decode(errors="replace").strip().splitlines()
