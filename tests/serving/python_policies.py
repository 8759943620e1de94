"""Python policies for tests of workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np


class Noop:
    """Answers at once."""

    @property
    def metadata(self) -> dict[str, Any]:
        return {"made_by": "a test"}

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        return {"actions": np.zeros((10, 7), np.float32)}


class Told:
    """Does what the observation says, and says who did it."""

    def example_observation(self) -> dict[str, Any]:
        return {"echo": -1}

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        if observation.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if "raise" in observation:
            raise ValueError(observation["raise"])
        time.sleep(observation.get("sleep_s", 0.0))
        patience = time.monotonic() + 60.0
        while "until" in observation and time.monotonic() < patience and not Path(observation["until"]).exists():
            time.sleep(0.01)
        return {"actions": np.zeros((2, 7), np.float32), "echo": observation.get("echo"), "pid": os.getpid()}


class Batched(Told):
    """The same for several at once."""

    max_batch = 4

    def infer_batch(self, observations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self.infer(observation) | {"together": len(observations)} for observation in observations]


def broken() -> Any:
    """A factory that fails."""
    raise OSError("the weights\nare not there")


def sleepy() -> Any:
    """A factory that takes too long."""
    time.sleep(60)
