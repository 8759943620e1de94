"""The loops under test: each calls a step at a rate in the way its package means it.

A step returns False when it was the last. Only the standard library is imported here: a peer's package is handed in,
because each peer lives in an environment of its own.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from unichunk.benchmarks.pacing.stamps import Stamps

    Step = Callable[[], bool]


@dataclass(frozen=True)
class Pacer:
    """A loop, and how its process is set up.

    Attributes:
        pace: Steps at a rate, [Hz], until that was enough; gives the time at which step 0 was due, [ns], or None
            where the loop keeps no grid.
        surroundings: What the process lives in; gives one line for every measure that the system did not permit.
        between_inferences: What its inference thread does after each inference.
    """

    pace: Callable[[Stamps, int], int | None]
    surroundings: AbstractContextManager[list[str]]
    between_inferences: Callable[[], object]


def peers_pacer(name: str, package: Any) -> Pacer:
    """A peer's loop, in a process as it comes."""

    def pace(stamps: Stamps, rate_hz: int) -> None:
        PACERS[name](package, stamps.step, rate_hz)

    return Pacer(pace, nullcontext(list[str]()), lambda: None)


def bare_sleep(_: Any, step: Step, rate_hz: int) -> None:
    """What one writes without thinking: sleep for what is left of the period."""
    period_s = 1.0 / rate_hz
    while True:
        begun = time.perf_counter()
        if not step():
            return
        time.sleep(max(0.0, period_s - (time.perf_counter() - begun)))


def lerobot(robot_utils: Any, step: Step, rate_hz: int) -> None:
    """LeRobot's `record_loop` and `teleop_loop`, as far as they are about time, with its own `precise_sleep`."""
    while True:
        start_loop_t = time.perf_counter()
        if not step():
            return
        dt_s = time.perf_counter() - start_loop_t
        robot_utils.precise_sleep(max(1 / rate_hz - dt_s, 0.0))


def openpi(runtime: Any, step: Step, rate_hz: int) -> None:
    """openpi-client's `Runtime`, which asks, acts and sleeps itself."""
    runtime.Runtime(_Environment(step), _Agent(), [], max_hz=rate_hz).run()


def rate_limiter(loop_rate_limiters: Any, step: Step, rate_hz: int) -> None:
    """loop-rate-limiters' `RateLimiter`, without its warnings, which take time when it is late anyway."""
    limiter = loop_rate_limiters.RateLimiter(frequency=float(rate_hz), warn=False)
    while step():
        limiter.sleep()


class _Environment:
    """What `Runtime` acts on; its methods are those of openpi-client's `Environment`.

    Args:
        step: Taken where an action is applied.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._going_on = True

    def reset(self) -> None:
        """Nothing to bring anywhere."""

    def is_episode_complete(self) -> bool:
        """True after the last step."""
        return not self._going_on

    def get_observation(self) -> dict[str, Any]:
        """Nothing to see."""
        return {}

    def apply_action(self, action: dict[str, Any]) -> None:  # noqa: ARG002  openpi-client's signature
        """The step."""
        self._going_on = self._step()


class _Agent:
    """What `Runtime` asks for actions."""

    def get_action(self, observation: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002  openpi-client's signature
        """Nothing to do."""
        return {}

    def reset(self) -> None:
        """Nothing to forget."""


PACERS: Final[dict[str, Callable[[Any, Step, int], None]]] = {
    "lerobot": lerobot,
    "openpi": openpi,
    "rate_limiter": rate_limiter,
    "sleep": bare_sleep,
}
"""By loop; ours is in `own_pacer`."""
