"""Whatever a campaign's proxy has drive a robot, as a policy of the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.errors import PolicyError
from unichunk.server.evaluation.robots.continued_rows import continued_rows
from unichunk.server.evaluation.robots.joint_rows import ROWS, JointChunk, unified_rows
from unichunk.server.evaluation.robots.proxy_session import ProxySession
from unichunk.server.evaluation.robots.proxy_statistics import ProxyStatistics
from unichunk.server.remote.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.policy.manifest import StateTime
    from unichunk.server.remote.clock import Clock
    from unichunk.server.remote.connection import Dialer

JOIN_S: Final = 10.0
"""How long the proxy may take to let a robot in at first, [s]."""

MOST_ANSWER_S: Final = 1.0
"""How long an answer may take at most, [s], however many rows it has."""


class ProxyPolicy:
    """One robot's end of a campaign's proxy; a `ChunkPolicy`. One call at a time.

    The proxy never changes a row that it handed out, so what the runtime has committed is how its next answer begins:
    there is nothing to lock, and any delay up to all of a chunk's rows would do. It is checked all the same. Where a
    run begins, and where answers came so late that the robot ran its fallback instead, the proxy believes the robot to
    be elsewhere: then its rows are continued from what is committed, see `continued_rows`.

    Args:
        dialer: Makes connections.
        where: The proxy's address, for messages.
        spec: The robot.
        clock: Time.
        join_s: How long the proxy may take to let us in at first, [s].

    Raises:
        PolicyError: Where no proxy answers, it refuses this robot, or its campaign is for another one.
    """

    def __init__(
        self, dialer: Dialer, where: str, spec: EmbodimentSpec, *, clock: Clock | None = None, join_s: float = JOIN_S
    ) -> None:
        self.statistics = ProxyStatistics()
        self._clock = clock or SystemClock()
        self._session = ProxySession(dialer, where, self.statistics, self._clock)
        self._joints = len(spec.joint_names)
        self._step = spec.limits.velocity / spec.action_hz
        try:
            self.greeting = self._session.join(self._clock.now() + join_s)
            _check(self.greeting.joints, tuple(spec.joint_names), "the joints", where)
            _check(self.greeting.action_hz, spec.action_hz, "an action rate of", where)
            _check(
                set(self.greeting.cameras) - set(spec.cameras), set(), "no other cameras than the robot's, but", where
            )
        except BaseException:
            self._session.close()
            raise

    @property
    def chunk_length(self) -> int:
        """H, rows of every answer."""
        return self.greeting.rows

    @property
    def max_delay(self) -> int:
        """All of them: see the class."""
        return self.greeting.rows

    @property
    def locks(self) -> bool:
        """Its rows go on from those that were handed out, or are continued from what is committed: see the class."""
        return True

    @property
    def state_time(self) -> StateTime:
        """Robots tell what they measured; the proxy knows which rows run, and which policy wants to know the future."""
        return "observation"

    def infer(
        self,
        observation: Mapping[str, Any],
        previous_chunk: NDArray[np.float32] | None = None,
        delay: int = 0,
    ) -> JointChunk:
        """Ask for the rows from the observation's tick on.

        Args:
            observation: As `JointAdapter.policy_input` makes it.
            previous_chunk: What is committed, and more, shape (H, 200); None: nothing is.
            delay: d: the robot is bound to so many rows from the tick on. Where the proxy was told to hold the robot,
                it may brake it from there on, and does not have to wait for all of the rows that it handed out.

        Raises:
            PolicyLate: Where there was no answer in time.
            PolicyError: Where the proxy refused, or answered something that must not reach a robot.
        """
        within_s = min(MOST_ANSWER_S, self.chunk_length / self.greeting.action_hz)
        answer = self._session.ask({**observation, "delay": delay}, self._clock.now() + within_s)
        expected = (self.chunk_length, self._joints)
        if answer.rows.shape != expected:
            raise PolicyError(f"the campaign's proxy answered rows of shape {answer.rows.shape}, expected {expected}")
        rows = answer.rows
        if previous_chunk is not None and delay:
            rows, change = continued_rows(rows, previous_chunk[:delay, : self._joints], self._step)
            self.statistics.prefix(change)
        return JointChunk.of(rows, cold=answer.fresh)

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        """Joint rows as unified rows."""
        return unified_rows(actions[ROWS])

    def close(self) -> None:
        """Hang up."""
        self._session.close()


def _check(there: object, here: object, what: str, where: str) -> None:
    if there != here:
        raise PolicyError(
            f"the campaign at {where} expects {what} {there}, this robot has {here}: is it another robot's?"
        )
