"""Python policies that the proxy has to hide: what they do tells them apart wherever a robot can see it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np


class Waving:
    """Goes to and fro around where it was asked first; behaves as its class attributes say."""

    length = 32
    latency_s = 0.0
    amplitude = 0.1

    def __init__(self) -> None:
        self.metadata = {"made_by": type(self).__name__}

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        time.sleep(self.latency_s)
        ticks = observation["tick"] + np.arange(self.length)
        state = np.asarray(observation["state"], np.float32)
        wave = self.amplitude * np.sin(0.2 * ticks)
        return {"actions": (state[None] + wave[:, None]).astype(np.float32)}


class Slow(Waving):
    """The same with longer chunks, later, and more to say."""

    length = 40
    latency_s = 0.04

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        return {**super().infer(observation), "confidence": 0.5, "plan": "x" * 100}


class Told(Waving):
    """Does what a field of the robot's says: a way for tests to make a policy fail when they want it to."""

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        answer = super().infer(observation)
        wish = observation.get("wish", "") if observation["prompt"] else ""
        if wish == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if wish == "hang":
            time.sleep(60)
        if wish == "raise":
            raise ValueError("a reason that names the policy: Told")
        if wish == "nan":
            answer["actions"][3, 1] = np.nan
        if wish == "short":
            answer["actions"] = answer["actions"][:-1]
        if wish == "wild":
            answer["actions"] *= 1e6
        return answer
