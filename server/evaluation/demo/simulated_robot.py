"""The demonstration's robot: a twin that asks the campaign's proxy for rows, in lockstep, faster than real time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Twin
from unichunk.server.evaluation.demo.arrangement import ARRANGEMENTS, TARGET
from unichunk.server.evaluation.robots.proxy_session import ProxySession
from unichunk.server.evaluation.robots.proxy_statistics import ProxyStatistics
from unichunk.server.remote.clock import SystemClock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.sim.twin import Truth
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.remote.connection import Dialer

ANSWER_S: Final = 10.0
"""How long an answer may take before something is wrong, [s]."""


class SimulatedRobot:
    """A twin on a table with two blocks. Belongs to one thread, from its construction on.

    Args:
        spec: The robot.
        dialer: Makes connections to its place at the proxy.
        where: The proxy's address, for messages.
        seed: Seed of the twin.
    """

    def __init__(self, spec: EmbodimentSpec, dialer: Dialer, where: str, *, seed: int = 0) -> None:
        self._spec = spec
        self._twin = Twin(spec, seed)
        self._cameras = {name: CameraRenderer(self._twin.model, name) for name in spec.cameras}
        self._session = ProxySession(dialer, where, ProxyStatistics(), SystemClock())
        self._tick = 0
        self._rows: NDArray[np.float64] = np.repeat(self._twin.q[None], 3, axis=0)
        self._block = np.zeros(2, np.float32)
        self.arrange(next(iter(ARRANGEMENTS)))

    @property
    def truth(self) -> Truth:
        """What only a simulator knows."""
        return self._twin.truth()

    def arrange(self, layout: str) -> None:
        """Put the blocks where a layout wants them."""
        self._twin.stand(ARRANGEMENTS[layout])
        self._block = np.array(ARRANGEMENTS[layout][TARGET], np.float32)

    def exchange(self) -> None:
        """Ask for rows, and do all of them.

        Raises:
            PolicyError: Where the proxy does not answer, or refuses.
        """
        rows = self._session.ask(self._observation(), time.monotonic() + ANSWER_S).rows
        for row in rows.astype(np.float64):
            self._rows = np.concatenate([self._rows[1:], row[None]])
            for _ in run_tick(self._twin, self._rows, self._tick):
                pass
            self._tick += 1

    def close(self) -> None:
        """Hang up, and release the cameras."""
        self._session.close()
        for camera in self._cameras.values():
            camera.close()

    def _observation(self) -> dict[str, Any]:
        snapshot = self._twin.snapshot()
        pictures = {f"image.{name}": camera.render(snapshot) for name, camera in self._cameras.items()}
        state = self._twin.q.astype(np.float32)
        return {**pictures, "state": state, "tick": self._tick, "block": self._block, "lockstep": True}
