"""Our own client as the load generator uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from unichunk.benchmarks.serving.empty_bundle import ROBOT
from unichunk.benchmarks.serving.observations import INSTRUCTION, pictures
from unichunk.server.remote.remote_policy import RemotePolicy

if TYPE_CHECKING:
    from unichunk.server.wire.lean import Welcome


class LeanClient:
    """`RemotePolicy`, with pictures that are new in every request: of those that are not, it sends nothing.

    Args:
        address: Where to, with `#shared` at its end if pictures shall go through shared memory.
    """

    def __init__(self, address: str) -> None:
        url, _, shared = address.partition("#")
        self._policy = (RemotePolicy if shared else _OverTheWire)(url, ROBOT)
        left, wrist = pictures()
        self._observations: list[dict[str, Any]] = [
            {
                "video.left": one,
                "video.wrist": other,
                "state.arm_joints": np.linspace(-1, 1, 7, dtype=np.float32) / (1 + number),
                "state.gripper": np.full(1, number, np.float32),
                "language.instruction": INSTRUCTION,
            }
            for number, (one, other) in enumerate(((left, wrist), (wrist, left)))
        ]

    def trip(self) -> None:
        """Infer once."""
        self._observations.reverse()
        self._policy.infer(self._observations[0])

    def close(self) -> None:
        """Say goodbye."""
        self._policy.close()


class _OverTheWire(RemotePolicy):
    """As if the server were on another host."""

    def _welcome(self, welcome: Welcome) -> None:
        super()._welcome(msgspec.structs.replace(welcome, host=""))
