"""A command line that cannot be meant."""

from __future__ import annotations

from typing import Final

from unichunk.runtime.errors import UnichunkError

EXIT_USAGE: Final = 2
"""Exit status of what is wrong with the command line alone, as for unknown options."""


class UsageError(UnichunkError):
    """Options that do not go together, that lack a part, or whose value nothing could have."""
