"""What the projection refuses."""

from __future__ import annotations


class ProjectionError(ValueError):
    """Something was asked for that cannot be projected; one line for the user."""
