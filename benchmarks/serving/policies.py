"""Policies that cost a known time: for `unichunk serve --policy NAME=python:...`, and for openpi's server.

Runs in the environments of peers, too: nothing but numpy is imported.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.serving.observations import ROWS, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAUSE_S: Final = 0.03


class Noop:
    """Answers at once."""

    def __init__(self) -> None:
        self._actions = np.zeros((ROWS, WIDTH), np.float32)

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The same rows always, whatever is seen."""
        del observation
        return {"actions": self._actions, "policy_timing": {"infer_ms": 0.0}}


class Sleeping(Noop):
    """Takes 30 ms, in which it holds neither the processor nor the interpreter, as one on a GPU does."""

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The same rows always, after 30 ms."""
        time.sleep(PAUSE_S)
        return super().infer(observation)


class SleepingBatch(Sleeping):
    """Takes 30 ms for up to eight requests together, as one on a GPU that is far from full does."""

    max_batch = 8

    def infer_batch(self, observations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same rows for each, after 30 ms."""
        time.sleep(PAUSE_S)
        return [Noop.infer(self, observation) for observation in observations]


def noop() -> Noop:
    """A policy that answers at once."""
    return Noop()


def sleeping() -> Sleeping:
    """A policy that takes 30 ms."""
    return Sleeping()


def sleeping_batch() -> SleepingBatch:
    """A policy that takes 30 ms for a batch."""
    return SleepingBatch()


FACTORIES: Final[dict[str, Callable[[], Noop]]] = {
    "noop": noop,
    "sleeping": sleeping,
    "sleeping_batch": sleeping_batch,
}
"""By the names under which they are served."""
