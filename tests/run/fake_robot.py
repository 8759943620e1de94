"""A robot in this process, without a wire: it follows commands at once and can fail in every way a driver can."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.embodiments.errors import LinkTimeout
from unichunk.runtime.observation import CameraFrame, Observation, RobotState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec


WATCHDOG_NS = 1_000_000_000
"""More patient than a real driver: a busy machine must not look like a runtime that fell silent."""


class FakeRobot:
    """Implements `RobotLink`; its own handles are itself."""

    def __init__(self, spec: EmbodimentSpec) -> None:
        self.spec = spec
        self.q = spec.rest + 0.05
        self.sent: list[tuple[int, NDArray[np.float64]]] = []
        """(time [ns], command) of every command that arrived."""
        self.lost = 0
        """Commands that found no driver."""
        self.dead = False
        self.absent = False
        self.frozen = False
        self.stalled = False
        self.watchdog = False
        self.stopped = False
        self.blocked = False
        """The joints stay where they are, whatever is commanded."""
        self.send_ok = True
        self.refuse: Exception | None = None
        """What `reconnect` raises."""
        self.fail_send: Exception | None = None
        self.reconnects = 0
        self.closed = False
        self.tasks: list[str] = []
        self.instructions: list[str] = []
        self.task_unmeasured = ""
        self._last_seen_ns = time.monotonic_ns()
        self._frame = 0
        self._followed = False
        self._greeted_ns = 0

    # The link itself.

    @property
    def commands(self) -> FakeRobot:
        return self

    @property
    def sensors(self) -> FakeRobot:
        return self

    @property
    def states(self) -> FakeStates:
        return FakeStates(self)

    @property
    def control(self) -> FakeRobot:
        return self

    def connect(self) -> object:
        if self.absent:
            raise LinkTimeout("no answer from the so101 driver for 2.0 s on fake: is `unichunk driver so101` running?")
        return self

    def reconnect(self, timeout_s: float) -> object | None:
        if self.refuse is not None:
            raise self.refuse
        if self.dead:
            time.sleep(min(timeout_s, 0.02))
            return None
        self.reconnects += 1
        self.watchdog = False
        self._greeted_ns = time.monotonic_ns()
        return self

    def close(self) -> None:
        self.closed = True

    def ping(self, timeout_s: float | None = None) -> float:
        return 0.0

    def status_report(self) -> dict[str, Any]:
        return {"accepted": len(self.sent)}

    def task_begin(self, instruction: str) -> str:
        self.tasks.append("begin")
        self.instructions.append(instruction)
        return self.task_unmeasured

    def task_end(self) -> dict[str, float]:
        self.tasks.append("end")
        return {"policy_error_m": 0.5}

    # The control thread's handle.

    def send(self, tick: int, q: NDArray[np.float64]) -> bool:
        if self.fail_send is not None:
            raise self.fail_send
        self._look_at_watchdog()
        if self.dead or self.watchdog:
            self.lost += 1
            return not self.dead
        if not self.send_ok:
            return False
        if not self.blocked:
            self.q = q.copy()
        self.sent.append((time.monotonic_ns(), q.copy()))
        self._followed = True
        return True

    # The inference thread's handle.

    def newest(self) -> Observation | None:
        now_ns = self._now_ns()
        period_ns = 1_000_000_000 // 20
        if not self.stalled and not self.dead:
            self._frame = now_ns // period_ns
        stamp_ns = self._frame * period_ns
        seed = 0 if self.frozen else self._frame
        frames = {
            name: CameraFrame(stamp_ns, self._frame, _picture(seed, camera.height, camera.width))
            for name, camera in self.spec.cameras.items()
        }
        return Observation(stamp_ns, self.state(), frames)

    def wait(self, timeout_s: float) -> bool:
        time.sleep(min(timeout_s, 0.005))
        return True

    # What is behind both.

    def _look_at_watchdog(self) -> None:
        """As a driver's: once commanded, silence brings it to rest until somebody says hello again.

        A dead driver reports nothing new, its watchdog least of all.
        """
        if self.dead:
            return
        if self.sent and time.monotonic_ns() - max(self.sent[-1][0], self._greeted_ns) > WATCHDOG_NS:
            self.watchdog = self.watchdog or self._followed
            self._followed = False

    def state(self) -> RobotState:
        self._look_at_watchdog()
        stamp_ns = self._now_ns()
        return RobotState(stamp_ns, 0, self.q.copy(), np.zeros_like(self.q), self.watchdog, self.stopped)

    def _now_ns(self) -> int:
        if not self.dead:
            self._last_seen_ns = time.monotonic_ns()
        return self._last_seen_ns


class FakeStates:
    """The supervisor's handle."""

    def __init__(self, robot: FakeRobot) -> None:
        self._robot = robot

    commanding = True

    def newest(self) -> RobotState | None:
        return self._robot.state()


def _picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[0, :8, 0] = np.frombuffer(np.int64(seed).tobytes(), np.uint8)
    return picture
