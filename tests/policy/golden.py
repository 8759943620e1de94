"""The recorded inputs and outputs of a small published-format checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER: Final = Path(__file__).parents[1] / "data" / "golden" / "being_h05_tiny"
CASES: Final = ("plain", "locked", "mpg", "mpg_locked")


def golden(case: str) -> dict[str, NDArray[Any]]:
    """Everything recorded of one case: `token_ids`, `pixel_values`, `obs/state.eef_position`, ..."""
    with np.load(FOLDER / "golden.npz") as file:
        return {name.removeprefix(f"{case}/"): file[name] for name in file if name.startswith(f"{case}/")}
