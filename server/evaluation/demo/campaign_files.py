"""The demonstration's campaign as a folder that can be planned: its TOML, and a photo of each layout."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

NAME: Final = "campaign.toml"

_TRIALS: Final = re.compile(r"^trials_per_cell = \d+$", re.MULTILINE)


def write_campaign(folder: Path, photos: Mapping[str, NDArray[np.uint8]], trials: int | None = None) -> Path:
    """Write it.

    Args:
        folder: An existing folder.
        photos: Of each layout, RGB, each (h, w, 3).
        trials: K, instead of the one in the file.

    Returns:
        The campaign's file.
    """
    text = resources.files(__package__).joinpath(NAME).read_text("utf-8")
    if trials is not None:
        text = _TRIALS.sub(f"trials_per_cell = {trials}", text)
    for layout, photo in photos.items():
        Image.fromarray(photo).save(folder / f"{layout}.png")
    path = folder / NAME
    path.write_text(text, "utf-8")
    return path
