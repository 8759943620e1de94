"""Judges trials of the demonstration again, from their videos alone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.server.evaluation.demo.examples import Examples
    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.views import RatingView
    from unichunk.server.serving.identity import Identity


SLIPS: Final = 0.05
"""How often the rater says the opposite of what it saw."""


class VideoRater:
    """A second rater: knows what success looks like on each layout, sees nothing but the video, and slips at times.

    Args:
        desk: The campaign's desk.
        who: The rater.
        examples: For each layout.
        random: For slips alone.
    """

    def __init__(
        self, desk: Desk, who: Identity, examples: Mapping[str, Examples], random: np.random.Generator
    ) -> None:
        self._desk, self._who, self._examples, self._random = desk, who, examples, random

    async def rate(self) -> int:
        """Rate all videos; how many there were."""
        rated = 0
        while (view := await self._desk.to_rate(self._who)) is not None:
            approached, over = self._examples[view.layout].judge(await self._last_picture(view))
            over ^= bool(self._random.random() < SLIPS)
            await self._desk.rate(self._who, view.video, over, (approached, over), "", f"rate/{view.video}")
            rated += 1
        return rated

    async def _last_picture(self, view: RatingView) -> NDArray[np.uint8]:
        data = await self._desk.rating_frame(self._who, view.video, view.cameras[0], view.frames)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
