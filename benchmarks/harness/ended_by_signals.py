"""Signals that end a benchmark in order: its temporary folders go, and so do the processes it started."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unichunk.server.raised_signals import StoppedBySignal, raised_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def ended_by_signals(benchmark: str) -> Iterator[None]:
    """Within the block, SIGINT, SIGTERM or SIGHUP leaves every block in it as an exception does; see `raised_signals`.

    Args:
        benchmark: Its name.

    Raises:
        SystemExit: 128 + the signal's number, after one line on standard error.
    """
    try:
        with raised_signals():
            yield
    except StoppedBySignal as stop:
        print(f"unichunk bench {benchmark}: stopped by {stop.signal.name}", file=sys.stderr)
        raise SystemExit(stop.exit_status) from None
