"""A policy behind an openpi server, as one that the proxy hides: joints and pictures in, joint targets out.

It knows nothing of committed rows: what it predicts is stitched after them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import PolicyError
from unichunk.runtime.fallback import HoldFallback
from unichunk.server.evaluation.blinding.hidden_policy import WARM_UPS, Predicted
from unichunk.server.evaluation.blinding.request import IMAGE, STATE
from unichunk.server.remote.connection import ConnectionLost, Forbidden, Unreachable
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.producer import Commitment
    from unichunk.server.evaluation.blinding.hidden_policy import Seen
    from unichunk.server.remote.connection import Connection, Dialer

GREETING_S: Final = 10.0
"""How long the metadata frame may take, [s]."""

FIRST_S: Final = 60.0
"""How long the first chunk may take, [s]."""

ACTIONS: Final = "actions"


class OpenpiPolicy:
    """Speaks openpi's protocol to a server.

    Its observations have `state` (n,), `image.<camera>` (H, W, 3), `prompt`, `tick`, `trial_seed`, and whatever else
    the robot sends; its answers `actions`, joint targets (T, n), [rad]. T is what the first answer has.

    Args:
        dialer: Makes connections.
        joints: n.
        answer_within_s: How long an answer may take, [s].
        first: What to ask first, for T; the policy gets warm with it.

    Attributes:
        width: Of a row of its own: n.
        fallback: To stay.
        chunk_length: T.
        expected_s: What an inference took once it was warm, [s].

    Raises:
        PolicyError: Where nobody answers, or something else.
    """

    def __init__(self, dialer: Dialer, joints: int, *, answer_within_s: float, first: Seen) -> None:
        self._dialer = dialer
        self._answer_within_s = answer_within_s
        self._connection: Connection | None = None
        self.width = joints
        self.fallback = HoldFallback()
        try:
            self._connection = self._connect()
            for _ in range(WARM_UPS):
                began_s = time.monotonic()
                self.chunk_length = len(self._ask(observation_of(first), FIRST_S))
                self.expected_s = time.monotonic() - began_s
        except BaseException:
            self.close()
            raise

    @property
    def max_delay(self) -> int:
        """Nothing is locked, so nothing was trained: all but the last row."""
        return self.chunk_length

    def encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:  # noqa: ARG002
        """Its rows are joints."""
        return joints.astype(np.float32)

    def predict(self, seen: Seen, commitment: Commitment) -> Predicted:
        """See `HiddenPolicy`."""
        actions = self._ask(observation_of(seen), self._answer_within_s)
        if len(actions) != self.chunk_length:
            raise PolicyError(f"the policy answered {len(actions)} rows, expected {self.chunk_length} as before")
        unified, d = actions.astype(np.float32), commitment.delay
        unified[:d] = commitment.previous_chunk[:d]
        return Predicted(unified, actions)

    def close(self) -> None:
        """See `HiddenPolicy`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._dialer.close()

    def _connect(self) -> Connection:
        try:
            connection = self._dialer.dial()
        except (Unreachable, Forbidden) as error:
            raise PolicyError(f"the policy's server cannot be reached: {error}") from None
        try:
            if connection.receive(time.monotonic() + GREETING_S) is None:
                raise PolicyError(f"the policy's server said nothing for {GREETING_S:g} s: expected openpi's metadata")
        except ConnectionLost as error:
            connection.close()
            raise PolicyError(f"the policy's server hung up: {error}") from None
        except PolicyError:
            connection.close()
            raise
        return connection

    def _ask(self, observation: Mapping[str, Any], within_s: float) -> NDArray[np.float64]:
        if self._connection is None:
            raise PolicyError("the connection to the policy is closed")
        deadline = time.monotonic() + within_s
        try:
            self._connection.send(pack(observation), deadline)
            data = self._connection.receive(deadline)
        except ConnectionLost as error:
            raise PolicyError(f"the policy's server hung up: {error}") from None
        if data is None:
            # Its answer may still come, and would be taken for the next one's.
            self.close()
            raise PolicyError(f"the policy answered nothing for {within_s:g} s")
        return self._actions(data)

    def _actions(self, data: bytes) -> NDArray[np.float64]:
        try:
            result = unpack(data)
        except WireError:
            raise PolicyError("the policy's server answered with an error") from None
        actions = result.get(ACTIONS) if isinstance(result, dict) else None
        if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "fiu":
            raise PolicyError("the policy's answer has no numbers under `actions`: expected joint targets")
        if actions.ndim != 2 or not len(actions) or actions.shape[1] != self.width:
            raise PolicyError(f"the policy's actions have shape {actions.shape}, expected (T, {self.width})")
        return actions.astype(np.float64)


def observation_of(seen: Seen) -> dict[str, Any]:
    """What is asked."""
    observation = seen.observation
    return {
        **seen.others,
        STATE: observation.state.q.astype(np.float32),
        **{f"{IMAGE}{name}": frame.image for name, frame in observation.frames.items()},
        "prompt": seen.instruction,
        "tick": seen.tick,
        "trial_seed": seen.trial_seed,
    }
