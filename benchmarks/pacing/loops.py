"""The loops under test, and what each needs installed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

OURS: Final = "unichunk"
UNPRIVILEGED: Final = "unichunk_unprivileged"
"""Ours without any priority, as its peers run: a part of what a loop reaches is what the system lets it have."""


NUMPY_1: Final = "1.26.4"
ONNXRUNTIME: Final = "1.23.2"
"""Of the inference beside a peer's loop, where none is installed here."""


@dataclass(frozen=True)
class Peer:
    """A package with a loop.

    Attributes:
        requirement: What is installed, pinned.
        module: What is imported of it.
        file: Its file, where it is loaded alone; empty where it is imported.
        whole: Whether its own requirements are installed too.
        numpy: The numpy it is content with; None: the one that is installed here.
    """

    requirement: str
    module: str
    file: str = ""
    whole: bool = True
    numpy: str | None = None

    def installs(self) -> list[list[str]]:
        """Arguments of `pip install`, call by call: the package, and what the load beside it needs."""
        load = [f"numpy=={self.numpy or _version('numpy')}", f"onnxruntime=={onnxruntime_version()}"]
        return [[self.requirement, *load]] if self.whole else [["--no-deps", self.requirement], load]


@dataclass(frozen=True)
class Loop:
    """A loop under test.

    Attributes:
        what: What is measured, for the document.
        peer: What it needs installed in an environment of its own; None: nothing, it runs in this one.
    """

    what: str
    peer: Peer | None = None


LOOPS: Final[dict[str, Loop]] = {
    OURS: Loop("the runtime's control thread in its real-time process, pacing by absolute deadlines"),
    UNPRIVILEGED: Loop("the same where the system refuses SCHED_FIFO and niceness"),
    "lerobot": Loop(
        "LeRobot's record and teleoperation loop, as far as it is about time, with its `precise_sleep`; of the "
        "package, only that helper's file is loaded",
        Peer(
            # Later releases need CPython 3.12; on Linux the helper is the same.
            f"lerobot=={'0.6.1' if sys.version_info >= (3, 12) else '0.4.4'}",
            "lerobot.utils.robot_utils",
            file="lerobot/utils/robot_utils.py",
            whole=False,
        ),
    ),
    "openpi": Loop(
        "openpi-client's `Runtime` with an environment and an agent that do nothing",
        Peer("openpi-client==0.1.2", "openpi_client.runtime.runtime", numpy=NUMPY_1),
    ),
    "rate_limiter": Loop(
        "loop-rate-limiters' `RateLimiter`, its warnings off",
        Peer("loop-rate-limiters==1.2.0", "loop_rate_limiters"),
    ),
    "sleep": Loop("`time.sleep` for what is left of the period"),
}


def onnxruntime_version() -> str:
    """The release that runs the graphs here, so that every loop has the same load beside it."""
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ONNXRUNTIME


def _version(name: str) -> str:
    return version(name)
