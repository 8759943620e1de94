"""Three policies that make the same motion, and differ in everything else that a robot could tell them apart by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HZ = 20.0
AMPLITUDE = 0.05


class _Waving:
    """Moves all joints around the start pose, as a function of the tick alone."""

    length: ClassVar[int]
    metadata: ClassVar[dict[str, Any]]

    def actions(self, observation: dict[str, Any]) -> NDArray[np.float32]:
        """Rows from the observation's tick on, shape (T, n), [rad]."""
        ticks = observation["tick"] + np.arange(self.length)
        wave = AMPLITUDE * np.sin(2 * np.pi * 0.5 * ticks / HZ)
        return np.repeat(wave[:, None], len(observation["state"]), axis=1).astype(np.float32)


class Quick(_Waving):
    """Answers at once, says nothing of itself, and complains of what is missing in a word."""

    length = 32
    metadata: ClassVar[dict[str, Any]] = {}

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        """A chunk."""
        return {"actions": self.actions(observation)}


class Slow(_Waving):
    """Takes 60 ms without work, as a policy on an accelerator; longer chunks, more fields, a talkative greeting."""

    length = 50
    metadata: ClassVar[dict[str, Any]] = {"policy": "slow", "horizon": 50, "trained": "on everything", "fps": HZ}

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        """A chunk, and what it thinks of it."""
        if "state" not in observation:
            raise ValueError("Slow wants its state as float32, in the order of the joints, [rad]")
        time.sleep(0.06)
        actions = self.actions(observation)
        return {"actions": actions, "confidence": 0.7, "plan": np.zeros((4, 64), np.float32)}


class Heavy(_Waving):
    """Keeps a core busy for 35 ms, more or less; chunks as doubles."""

    length = 40
    metadata: ClassVar[dict[str, Any]] = {"policy": "heavy", "device": "cpu"}

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._matrix = self._random.normal(size=(160, 160))

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        """A chunk, after some work."""
        until = time.perf_counter() + self._random.gamma(20.0, 0.035 / 20.0)
        while time.perf_counter() < until:
            self._matrix @ self._matrix
        return {"actions": self.actions(observation).astype(np.float64), "timing": {"infer_ms": 35.0}}
