"""What a robot gets, always: one greeting, rows of joint targets, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.server.wire.openpi import pack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

BAD_REQUEST: Final = "bad request"
"""All that a robot is told of a message that is none; as a text frame, which openpi's clients take for an error."""


def greeting(spec: EmbodimentSpec, rows: int) -> bytes:
    """The first frame: the same for every connection of a campaign.

    Args:
        spec: The embodiment.
        rows: H.
    """
    return pack(
        {
            "robot": spec.name,
            "action_hz": spec.action_hz,
            "rows": rows,
            "joints": list(spec.joint_names),
            "cameras": list(spec.cameras),
        }
    )


def answer(rows: NDArray[np.float32]) -> bytes:
    """Rows of joint targets, shape (H, n), [rad]: the bytes are as many whatever they say."""
    return pack({"actions": np.ascontiguousarray(rows, np.float32)})
