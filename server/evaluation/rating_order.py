"""In which order a second rater sees the videos, and what they are called: both tell nothing of the trials."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def video_id(key: bytes, rater: str, trial: str) -> str:
    """What a rater's page calls a trial: 26 letters and digits that nobody can compute without the key.

    Args:
        key: A secret of the service; used here for nothing but this, by the label in front.
        rater: Who judges; the same trial is called otherwise for somebody else.
        trial: Opaque id of the trial.
    """
    digest = hmac.new(key, b"unichunk rating\0" + rater.encode() + b"\0" + trial.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def next_video(key: bytes, rater: str, trials: Iterable[str]) -> tuple[str, str] | None:
    """What a rater judges next: the smallest id, which is a random order of whatever is there.

    Args:
        key: As for `video_id`.
        rater: Who judges.
        trials: Opaque ids of what the rater has not judged yet.

    Returns:
        The video's id and the trial's; None where nothing is left.
    """
    return min(((video_id(key, rater, trial), trial) for trial in trials), default=None)
