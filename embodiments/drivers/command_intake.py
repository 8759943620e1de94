"""Which of the arrived commands are followed: those that are valid; everything else is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.messages import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from unichunk.embodiments.drivers.counters import Counters
    from unichunk.embodiments.drivers.lease import Grant, Lease
    from unichunk.embodiments.link.messages import Command
    from unichunk.runtime.limits import JointLimits


class CommandIntake:
    """Checks commands. Knows no socket and no clock; used by the control loop only.

    Args:
        limits: The robot's; positions beyond them are moved to them.
        lease: Whose commands count.
        patience_ns: Commands stamped further than this from now are not followed, [ns].
        counters: Where everything is counted.
    """

    def __init__(self, limits: JointLimits, lease: Lease, patience_ns: int, counters: Counters) -> None:
        self._limits = limits
        self._lease = lease
        self._patience_ns = patience_ns
        self._counters = counters
        self.grant: Grant | None = None
        """Who held the robot when `take` was called last."""
        self.last_sequence = -1
        """Sequence number of the newest command accepted under that grant, -1 before the first."""

    def take(self, arrived: Iterable[bytes], now_ns: int) -> list[NDArray[np.float64]]:
        """Check what has arrived.

        Args:
            arrived: Messages as they came, oldest first; anybody may have sent anything.
            now_ns: Now, [ns], monotonic; not before the last of them was received, or a process that was held up in
                between takes old commands for fresh ones.

        Returns:
            The set-points of every valid command in the order of their sequence numbers, each shape (n,), [rad],
            finite and within the limits.
        """
        if (grant := self._lease.grant) is not self.grant:
            self.grant, self.last_sequence = grant, -1
        taken = []
        for data in arrived:
            try:
                command = COMMANDS.decode(data)
            except MessageError:
                self._counters.malformed += 1
                continue
            if self._accept(command, now_ns):
                taken.append(self._clamp(command.q))
        return taken

    def _accept(self, command: Command, now_ns: int) -> bool:
        counters = self._counters
        if self.grant is None or command.session != self.grant.session:
            counters.foreign += 1
        elif self._lease.suspended:
            counters.suspended += 1
        elif self._lease.grant is not self.grant:
            # Another session has taken over since, which is also what ends a stop.
            counters.foreign += 1
        elif command.sequence <= self.last_sequence:
            counters.stale += 1
        elif abs(now_ns - command.stamp_ns) > self._patience_ns:
            counters.untimely += 1
        elif command.q.shape != (self._limits.size,) or command.q.dtype != np.float64:
            counters.wrong_shape += 1
        elif not np.isfinite(command.q).all():
            counters.non_finite += 1
        else:
            counters.accepted += 1
            self.last_sequence = command.sequence
            self._lease.heard(command.session, now_ns)
            return True
        return False

    def _clamp(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        clamped = np.clip(q, self._limits.lower, self._limits.upper)
        if not np.array_equal(clamped, q):
            self._counters.clamped += 1
        return clamped
