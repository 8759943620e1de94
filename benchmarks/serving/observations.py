"""What clients send: two views of 224 x 224 pixels and a state, as openpi's DROID policies take them.

Runs in the environments of peers, too: nothing but numpy is imported.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

SIDE: Final = 224
ROWS: Final = 10
WIDTH: Final = 8
"""Rows of an answer, and joints in a row: those of openpi's DROID policies."""

INSTRUCTION: Final = "put the red block into the bowl"


def pictures() -> list[Any]:
    """Two pictures of noise, which nothing can compress, shape (224, 224, 3), uint8."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(2)]


def droid_observation() -> dict[str, Any]:
    """For openpi's clients."""
    left, wrist = pictures()
    return {
        "observation/exterior_image_1_left": left,
        "observation/wrist_image_left": wrist,
        "observation/joint_position": np.linspace(-1, 1, 7, dtype=np.float32),
        "observation/gripper_position": np.zeros(1, np.float32),
        "prompt": INSTRUCTION,
    }


def filled(example: dict[str, Any]) -> dict[str, Any]:
    """A server's own example of an observation, with pictures of noise where there are pictures of nothing."""
    noise = pictures()
    return {
        key: noise[index % 2] if getattr(value, "shape", ()) == (SIDE, SIDE, 3) else value
        for index, (key, value) in enumerate(example.items())
    }


def groot_observation() -> dict[str, Any]:
    """For GR00T's clients (N1.7): nested, one picture and one state in batch and time."""
    left, wrist = pictures()
    return {
        "video": {"left": left[None, None], "wrist": wrist[None, None]},
        "state": {"arm_joints": np.zeros((1, 1, 7), np.float32), "gripper": np.zeros((1, 1, 1), np.float32)},
        "language": {"annotation.human.task_description": [[INSTRUCTION]]},
    }
