"""The simulated driver, which dies when it is asked for the numbers of its task: by a signal, or by an exception."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING
from unittest import mock

import tyro

from unichunk.embodiments.drivers.__main__ import main
from unichunk.embodiments.drivers.simulated import SimulatedDevice

if TYPE_CHECKING:
    from collections.abc import Mapping


def task_end(_: SimulatedDevice) -> Mapping[str, float]:
    if os.environ["DIES_BY"] == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("no such arm")


if __name__ == "__main__":
    with mock.patch.object(SimulatedDevice, "task_end", task_end):
        sys.exit(tyro.cli(main))
