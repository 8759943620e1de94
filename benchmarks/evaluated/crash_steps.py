"""Killing one's own process at a chosen step: at a call into the database, the files or the operating system."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

MODULES: Final = frozenset({"posix", "_io", "io", "fcntl", "_sqlite3", "sqlite3"})
"""Where the functions come from that can change anything outside of the process."""


HARMLESS: Final = frozenset({"getpid", "fspath", "getcwd", "stat", "lstat", "fstat"})
"""Of these, those that only ask."""


def kill_at(step: int, tell: Callable[[str], None]) -> None:
    """Kill this process (SIGKILL) right before or after one of its next calls.

    Args:
        step: Which one: each call into the system counts twice, before and after.
        tell: Is told which one it was, right before.
    """
    left = step

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        name = _name(frame, event, argument)
        if not name:
            return
        left -= 1
        if left < 0:
            sys.setprofile(None)
            tell(f"{'before' if event.endswith('call') else 'after'} {name}")
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)


def _name(frame: FrameType, event: str, argument: Any) -> str:
    """What is called or has returned; empty where it changes nothing outside."""
    if event.startswith("c_"):
        owner = getattr(argument, "__self__", None)
        name = str(getattr(argument, "__name__", ""))
        if isinstance(owner, (sqlite3.Connection, sqlite3.Cursor)):
            return f"sqlite3 {name}"
        module = getattr(argument, "__module__", None) or type(owner).__module__
        return name if module in MODULES and name not in HARMLESS else ""
    code = frame.f_code
    if event in {"call", "return"} and "psycopg" in code.co_filename and code.co_name in {"execute", "commit", "wait"}:
        return f"psycopg {code.co_name}"
    return ""
