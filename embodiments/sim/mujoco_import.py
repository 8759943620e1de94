"""MuJoCo, imported once: rendering off-screen by default, and one clear line where something is not installed."""

from __future__ import annotations

import os
from typing import Final

from unichunk.embodiments.errors import EmbodimentError


class SimulatorUnavailable(EmbodimentError):
    """The simulator, or its off-screen rendering, is not installed."""


RENDERING_HINT: Final = (
    "install the Debian packages libegl1, libegl-mesa0 and libgl1-mesa-dri, and leave MUJOCO_GL unset or at egl"
)

# MuJoCo chooses its rendering library when it is imported; without a display only EGL renders off-screen.
os.environ.setdefault("MUJOCO_GL", "egl")

try:
    import mujoco
except ImportError as error:
    raise SimulatorUnavailable(f"the simulator needs MuJoCo ({error}): pip install 'unichunk[sim]'") from None
except AttributeError:
    # What PyOpenGL raises where there is no EGL library. Physics does not need one; a camera will say what is missing.
    os.environ["MUJOCO_GL"] = "disabled"
    import mujoco

__all__ = ["RENDERING_HINT", "SimulatorUnavailable", "mujoco"]
