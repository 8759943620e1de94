"""Judges trials of the demonstration again, from their videos alone."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.views import RatingView
    from unichunk.server.serving.identity import Identity

SAME: Final = 0.35
"""A picture that differs from the goal's by less than this share of what the rest pose differs by shows the goal."""

MOVED: Final = 0.3
"""A picture that differs from the rest pose's by more than this share shows an arm that approached something."""


@dataclass(frozen=True)
class Examples:
    """What a layout looks like, RGB, each (h, w, 3).

    Attributes:
        rest: With the arm in its rest pose.
        goal: With the gripper over the block.
    """

    rest: NDArray[np.uint8]
    goal: NDArray[np.uint8]

    def judge(self, last: NDArray[np.uint8]) -> tuple[bool, bool]:
        """Whether the arm approached the block, and whether it is over it, in a video's last picture."""
        whole = _difference(self.rest, self.goal)
        over = _difference(last, self.goal) < SAME * whole
        return over or _difference(last, self.rest) > MOVED * whole, over


class VideoRater:
    """A second rater: knows what success looks like on each layout, and sees nothing but the video.

    Args:
        desk: The campaign's desk.
        who: The rater.
        examples: For each layout.
    """

    def __init__(self, desk: Desk, who: Identity, examples: Mapping[str, Examples]) -> None:
        self._desk, self._who, self._examples = desk, who, examples

    async def rate(self, most: int) -> int:
        """Rate so many videos at most; how many there were."""
        for rated in range(most):
            view = await self._desk.to_rate(self._who)
            if view is None:
                return rated
            approached, over = self._examples[view.layout].judge(await self._last_picture(view))
            await self._desk.rate(self._who, view.video, over, (approached, over), "", f"rate/{view.video}")
        return most

    async def _last_picture(self, view: RatingView) -> NDArray[np.uint8]:
        data = await self._desk.rating_frame(self._who, view.video, view.cameras[0], view.frames)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.float64) - other).mean())
