"""The tasks, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.async_control.tasks.catch import Catch
from unichunk.benchmarks.async_control.tasks.intercept import Intercept
from unichunk.benchmarks.async_control.tasks.land import Land
from unichunk.benchmarks.async_control.tasks.swing_up import SwingUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.benchmarks.async_control.task import Task

TASKS: Final[dict[str, Callable[[], Task[Any]]]] = {
    "catch": Catch,
    "swing_up": SwingUp,
    "land": Land,
    "intercept": Intercept,
}
"""What makes each task; the twin's task loads its model when it is made."""
