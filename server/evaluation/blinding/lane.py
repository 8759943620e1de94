"""A thread of its own for calls that block, one after the other; it never keeps the process alive."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lane:
    """Runs calls in the order in which they came.

    A call that hangs holds up those behind it, and nobody else: leave the lane and take a new one.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have something called; the future tells what became of it."""
        future: Future[T] = Future()
        self._calls.put((future, function))
        return future

    def leave(self) -> None:
        """End the thread once it has done what it was told."""
        self._calls.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False where it did not end in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  handed to whoever asked
                future.set_exception(error)
