"""One policy's place at one robot: connected and warm before the first trial, and again after a failure."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from unichunk.runtime.chunking import largest_delay
from unichunk.runtime.errors import PolicyError
from unichunk.server.evaluation.blinding.lane import Lane

if TYPE_CHECKING:
    from concurrent.futures import Future

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.producer import Commitment
    from unichunk.server.evaluation.blinding.hidden_policy import HiddenPolicy, Host, Predicted, Seen
    from unichunk.server.evaluation.planning.campaign import Blinding


class Seat:
    """Calls a policy in a thread of its own.

    Args:
        host: The policy.
        spec: The embodiment.
        blinding: Of the plan.
    """

    def __init__(self, host: Host, spec: EmbodimentSpec, blinding: Blinding) -> None:
        self.policy: HiddenPolicy | None = None
        """None while it is not connected."""
        self._host, self._spec, self._blinding = host, spec, blinding
        self._lane, self._hangs = Lane("policy"), False

    @property
    def number(self) -> int:
        """The policy's, in the plan's order."""
        return self._host.number

    def take(self, first: Seen) -> Future[None]:
        """Connect and warm up; start the policy's process where it died.

        Raises (the future):
            UnichunkError: Where that fails.
        """
        return self._lane.call(lambda: self._take(first))

    def predict(self, policy: HiddenPolicy, seen: Seen, commitment: Commitment) -> Future[Predicted]:
        """Have a chunk predicted."""
        return self._lane.call(lambda: policy.predict(seen, commitment))

    def lose(self, *, hangs: bool) -> None:
        """Give the connection up, whatever it is doing; `take` makes another one.

        Args:
            hangs: Whether it is still busy: it has to begin anew.
        """
        self.close()
        self._lane, self._hangs = Lane("policy"), hangs

    def close(self) -> None:
        """Give the connection up; again does nothing."""
        policy, self.policy = self.policy, None
        if policy is not None:
            self._lane.call(policy.close)
        self._lane.leave()

    def _take(self, first: Seen) -> None:
        hangs, self._hangs = self._hangs, False
        if hangs:
            self._host.end_process()
        policy = self._host.connect(first, secrets.randbits(31))
        try:
            check_delay(self._host.name, policy, self._spec, self._blinding)
        except PolicyError:
            policy.close()
            raise
        self.policy = policy


def check_delay(name: str, policy: HiddenPolicy, spec: EmbodimentSpec, blinding: Blinding) -> None:
    """Refuse a policy whose chunks are too short for the plan's delay.

    Args:
        name: Of the policy, for the message.
        policy: The policy.
        spec: The embodiment.
        blinding: Of the plan: D, or at least H, since H rows are handed out ahead.

    Raises:
        PolicyError: With the numbers and the ways out.
    """
    largest = largest_delay(policy.chunk_length, spec.minimum_postfix_ticks, policy.max_delay)
    needed = blinding.equalized_ticks or blinding.rows
    if needed > largest:
        what = "equalized_ticks" if blinding.equalized_ticks else "rows"
        raise PolicyError(
            f"policy {name!r}: blinding.{what} = {needed}, and chunks of {policy.chunk_length} rows can be run with "
            f"a delay of at most {largest}: plan with less, or with a policy of longer chunks"
        )
