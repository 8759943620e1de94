"""What a robot is doing for the campaign."""

from __future__ import annotations

import enum


class Mode(str, enum.Enum):
    """Where the rows of a robot come from."""

    HOLD = "hold"
    """It stays where it was told to be last."""
    HOME = "home"
    """It goes to the rest pose and stays there."""
    RUN = "run"
    """A policy drives."""
