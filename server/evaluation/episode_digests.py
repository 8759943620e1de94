"""Episodes that were complete when a server ended, and that its log does not name yet."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def episode_digests(folder: Path, trials: Iterable[str]) -> dict[str, str]:
    """SHA-256 of what completes an episode.

    Args:
        folder: Of all episodes.
        trials: Opaque ids.

    Returns:
        By trial, hexadecimal; without those whose episodes are not complete.
    """
    found: dict[str, str] = {}
    for trial in trials:
        with contextlib.suppress(OSError):
            found[trial] = hashlib.sha256((folder / trial / "episode.json").read_bytes()).hexdigest()
    return found
