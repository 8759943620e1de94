"""What ends a driver process."""

from __future__ import annotations

from unichunk.embodiments.errors import EmbodimentError


class DriverError(EmbodimentError):
    """A driver that cannot start, or that had to stop; its robot was brought to rest first where that was possible."""
