"""Directions along which gating compares actions with their anchor: unit vectors, (M, h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TOLERANCE: Final = 1e-3
"""How far from 1 the length of a direction may be."""


def drawn_directions(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors, uniform on the sphere, (count, width)."""
    drawn = np.random.default_rng(seed).standard_normal((count, width))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def read_directions(path: Path, count: int, width: int) -> NDArray[np.float32]:
    """Unit vectors from an `.npy` file, (count, width).

    Raises:
        CheckpointError: Where they cannot be read, or are not what the checkpoint needs.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise CheckpointError(f"no directions {path}; expected an .npy file of shape ({count}, {width})") from None
    except OSError as error:
        raise CheckpointError(f"directions {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError):
        raise CheckpointError(f"directions {path}: not a whole .npy file of numbers; save it with numpy.save") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        what = array.dtype if isinstance(array, np.ndarray) else "an archive"
        raise CheckpointError(f"directions {path}: expected an array of floats, got {what}")
    if array.shape != (count, width):
        raise CheckpointError(
            f"directions {path}: expected shape ({count}, {width}), by mpg_num_projections and the language model's "
            f"width, got {array.shape}"
        )
    lengths = np.linalg.norm(array.astype(np.float64), axis=1)
    wrong = ~(np.abs(lengths - 1.0) <= TOLERANCE)
    if wrong.any():
        index = int(wrong.argmax())
        raise CheckpointError(
            f"directions {path}: expected unit vectors, direction {index} has length {lengths[index]:.6g}"
        )
    return np.asarray(array, np.float32)
