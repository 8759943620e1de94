"""A policy of the runtime (a bundle, wherever it is loaded), as one that the proxy hides."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.state_forward import told_observation
from unichunk.runtime.unified import UNIFIED_WIDTH
from unichunk.server.evaluation.blinding.hidden_policy import WARM_UPS, Predicted
from unichunk.server.evaluation.planning.digest import require_same

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.producer import Commitment
    from unichunk.server.evaluation.blinding.hidden_policy import Seen
    from unichunk.server.remote.remote_policy import RemotePolicy


class RuntimePolicy:
    """Locks committed rows in the sampler, as the runtime does.

    Args:
        remote: The policy, at its server.
        spec: The embodiment.
        first: What to warm it up with.
        sha256: Of the bundle that was frozen: a server that changes to another one, at any time, is refused.

    Attributes:
        width: Of a unified row.
        fallback: To stay.
        expected_s: What an inference took once it was warm, [s].

    Raises:
        BundleError: Where it does not drive this robot.
        PolicyError: Where it does not answer.
        BundleChanged: Where another bundle answers than was frozen.
    """

    def __init__(self, remote: RemotePolicy, spec: EmbodimentSpec, *, first: Seen, sha256: str) -> None:
        self._remote = remote
        self._sha256 = sha256
        self._limits = spec.limits
        self._check()
        self._adapter = EmbodimentAdapter(spec, remote.robot, "the policy")
        slots = self._adapter.displacement_slots
        self.fallback = HoldFallback(slots, self.encode(spec.rest[None], spec.rest)[0, slots])
        self.width = UNIFIED_WIDTH
        for _ in range(WARM_UPS):
            began_s = time.monotonic()
            remote.infer(self._adapter.policy_input(first.observation, first.instruction))
            self.expected_s = time.monotonic() - began_s

    @property
    def chunk_length(self) -> int:
        """T."""
        return self._remote.chunk_length

    @property
    def max_delay(self) -> int:
        """Longest locked prefix seen in training, in rows."""
        return self._remote.max_delay

    def encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        """See `RowSpace`."""
        return self._remote.encode_actions(self._adapter.actions(joints, before))

    def predict(self, seen: Seen, commitment: Commitment) -> Predicted:
        """See `HiddenPolicy`."""
        told = told_observation(seen.observation, commitment, self._limits, self._remote.state_time)
        inputs = self._adapter.policy_input(told, seen.instruction)
        chunk = self._remote.infer(inputs, commitment.running, commitment.delay)
        self._check()
        joints = self._adapter.joints(chunk.actions, commitment.before, commitment.delay)
        return Predicted(chunk.unified, joints, chunk.cold)

    def close(self) -> None:
        """See `HiddenPolicy`."""
        self._remote.close()

    def _check(self) -> None:
        """A server may be told to serve another bundle while clients go on: not here."""
        require_same("the policy", self._sha256, self._remote.digest)
