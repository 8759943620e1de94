"""Statistics of an episode's columns, as LeRobot keeps them to normalize what policies see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from unichunk.runtime.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Stats = dict[str, Any]

QUANTILES: Final = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
PICTURES: Final = 20
"""Pictures of a camera that are looked at, evenly spaced over the episode."""
SIDE: Final = 150
"""Pictures are made about this small first, [px]."""


def of_numbers(values: Any) -> Stats:
    """Of a column of numbers.

    Args:
        values: Shape (T,) or (T, n).

    Returns:
        Lists of n numbers (1 for a column without a second axis); `count` has one.
    """
    table = np.asarray(values, np.float64).reshape(len(values), -1)
    return _stats(table, len(table), [table.shape[1]])


def of_pictures(files: Sequence[Path], count: int) -> Stats:
    """Of a camera: each channel from 0 to 1, shape (3, 1, 1).

    Args:
        files: Its pictures, at least one.
        count: How many rows show them.

    Raises:
        ReportError: Where one is no picture.
    """
    places = np.unique(np.linspace(0, len(files) - 1, PICTURES).round().astype(int))
    pixels = np.concatenate([_pixels(files[place]) for place in places])
    return _stats(pixels, count, [3, 1, 1])


def combined(parts: Sequence[Stats]) -> Stats:
    """Of several episodes together, as LeRobot combines them: quantiles as their weighted mean, which is near enough.

    Args:
        parts: Of one column in each episode.
    """
    counts = np.array([part["count"][0] for part in parts], np.float64)
    arrays = {key: np.array([part[key] for part in parts], np.float64) for key in parts[0] if key != "count"}

    def weighted(values: Any) -> Any:
        return np.tensordot(counts / counts.sum(), values, axes=1)

    mean = weighted(arrays["mean"])
    variance = weighted(arrays["std"] ** 2 + (arrays["mean"] - mean) ** 2)
    found = {
        "min": arrays["min"].min(axis=0),
        "max": arrays["max"].max(axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        **{key: weighted(arrays[key]) for key in QUANTILES},
    }
    return {**{key: value.tolist() for key, value in found.items()}, "count": [int(counts.sum())]}


def _stats(table: Any, count: int, shape: list[int]) -> Stats:
    found = {
        "min": table.min(axis=0),
        "max": table.max(axis=0),
        "mean": table.mean(axis=0),
        "std": table.std(axis=0),
        **dict(zip(QUANTILES, np.quantile(table, list(QUANTILES.values()), axis=0), strict=True)),
    }
    return {**{key: value.reshape(shape).tolist() for key, value in found.items()}, "count": [count]}


def _pixels(path: Path) -> Any:
    try:
        with Image.open(path, formats=["JPEG"]) as picture:
            step = max(max(picture.size) // SIDE, 1)
            return np.asarray(picture.convert("RGB"))[::step, ::step].reshape(-1, 3) / 255
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        raise ReportError(f"{path.parent.name}/{path.name}: expected a JPEG picture") from None
