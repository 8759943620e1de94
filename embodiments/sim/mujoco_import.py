"""MuJoCo, imported once: off-screen by default, and one clear line where it is not installed."""

from __future__ import annotations

import os

from unichunk.embodiments.errors import EmbodimentError


class SimulatorUnavailable(EmbodimentError):
    """The simulator, or its off-screen rendering, is not installed."""


# MuJoCo chooses its rendering library when it is imported; without a display only EGL renders off-screen.
os.environ.setdefault("MUJOCO_GL", "egl")

try:
    import mujoco
except ImportError as error:
    raise SimulatorUnavailable(f"the simulator needs MuJoCo ({error}): pip install 'unichunk[sim]'") from None

__all__ = ["SimulatorUnavailable", "mujoco"]
