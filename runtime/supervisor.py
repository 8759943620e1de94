"""The supervisor: connects, warms up, admits, synchronizes, watches, and always ends with a held robot.

    connecting -> syncing -> running -> holding -> stopped
                     ^                     |
                     +----- recovered -----+

Whatever goes wrong while the robot moves leads to HOLDING: the guard brakes the command stream to rest. A driver or a
sensor that comes back in time leads to a new synchronization; everything else ends the run.
"""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.admission import admit
from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.control_thread import ControlThread
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.errors import PolicyError, UnichunkError
from unichunk.runtime.events import EventLog
from unichunk.runtime.first_row import FirstRow
from unichunk.runtime.guard import Guard
from unichunk.runtime.inference_thread import Episode, InferenceThread
from unichunk.runtime.interpolation import smoothing_steps
from unichunk.runtime.motion import Ramp, RingMotion
from unichunk.runtime.outcome import ExitReason, RunState
from unichunk.runtime.producer import Producer
from unichunk.runtime.recovery import wait_for_recovery
from unichunk.runtime.ring_buffer import RingBuffer
from unichunk.runtime.run_checks import RunChecks
from unichunk.runtime.sensor_health import SensorHealth
from unichunk.runtime.standing import standing_pose
from unichunk.runtime.thinker import Thinker
from unichunk.runtime.ticks import Timebase
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy
    from unichunk.runtime.reasoning import Reasoner
    from unichunk.runtime.robot import RobotLink, RobotSettings
    from unichunk.runtime.run_options import RunOptions

SYNC_FRACTION: Final = 0.25
"""Share of the velocity, acceleration and jerk limits that the ramp to the first command uses."""

LOOK_S: Final = 0.02
"""How often the supervisor looks at everything, [s]."""

PING_S: Final = 0.5
"""How often the driver is called: it keeps the lease, and the offset between two hosts' clocks known, [s]."""

PING_TIMEOUT_S: Final = 0.05
"""A ping that takes longer is given up, [s]: whether the driver lives is told by its states."""

LEAST_REST_S: Final = 1.0
"""How long braking to rest may take at least before the supervisor goes on all the same, [s]."""

STITCHES: Final = (
    "this policy cannot lock: its rows do not know what is committed, and are only stitched in behind it; every seam "
    "is blended over the rows that follow"
)
"""Said once before the robot moves, of a policy whose chunks come about at once."""

REST_MARGIN: Final = 1.5
"""How many times as long as the slowest joint's limits say it may take."""


class Supervisor:
    """Runs a policy on a robot, once.

    Args:
        link: The way to the robot's driver.
        robot: The robot's constants.
        policy: What predicts.
        adapter: Robot <-> policy keys.
        options: What was asked for.
        look: Called about every 20 ms in the supervisor's thread, for whoever follows the run; must return at once.
        reasoner: Of a policy that writes text before it acts; None for one that does not.
    """

    def __init__(
        self,
        link: RobotLink,
        robot: RobotSettings,
        policy: ChunkPolicy,
        adapter: Adapter,
        options: RunOptions,
        look: Callable[[Supervisor], None] = lambda _: None,
        reasoner: Reasoner | None = None,
    ) -> None:
        self._link = link
        self._robot = robot
        self._policy = policy
        self._adapter = adapter
        self._options = options
        self._look = look
        self._connected = False
        self._task_begun = False
        self._next_ping = 0.0
        # Beside running and coming rows, it reaches back as far as an observation may be old.
        capacity = 4 * policy.chunk_length + math.ceil(robot.observation_max_age_s * robot.action_hz)
        self._ring = RingBuffer(capacity, policy.chunk_length, robot.limits.size, robot.fallback)
        self._estimator = DelayEstimator(robot.action_hz, robot.delay_margin_ticks)
        thinker = Thinker(reasoner, options.thought_gap_s, options.thought_patience_s)
        self._first_row = FirstRow(
            link.sensors, policy, adapter, options.instruction, outage_s=options.outage_s, thinker=thinker
        )
        self.state = RunState.CONNECTING
        self.note = ""
        self.exit_reason = ExitReason.INTERNAL_FAULT
        self.exit_detail = ""
        self.events = EventLog()
        self.task: dict[str, Any] = {}
        self.task_unmeasured = ""
        """What the driver says of the task, where it knows one."""
        self.driver_status: dict[str, Any] = {}
        """The driver's counters at the end, where it answers."""
        self.motions: list[RingMotion] = []
        """One per stretch of running."""
        self.timebase = Timebase(time.monotonic_ns(), robot.action_hz, robot.command_hz)
        self.loop = ControlLoop(Guard(robot.limits, robot.command_hz), link.commands, self.timebase)
        self.control = ControlThread(self.loop, self.timebase)
        self.inference = InferenceThread(
            link.sensors,
            policy,
            adapter,
            options.instruction,
            self._ring,
            self.timebase,
            SensorHealth(robot.observation_max_age_s, robot.frozen_camera_s),
            robot.limits,
            replan_below=options.replan_below,
            thinker=thinker,
        )
        self._checks = RunChecks(robot, link.states, self.loop, self.control, self.inference, options)

    def stop(self, reason: ExitReason = ExitReason.INTERRUPTED) -> None:
        """Ask the run to end; safe from a signal handler or another thread."""
        self._checks.request_stop(reason)

    @property
    def locks(self) -> bool:
        """Whether the policy's rows know what is committed; else they are only stitched in behind it."""
        return self._policy.locks

    @property
    def adapter_statistics(self) -> dict[str, Any]:
        """What the adapter counted, warm-up included."""
        return self._adapter.statistics()

    @property
    def elapsed_s(self) -> float:
        """Time in RUNNING so far, [s]."""
        return sum(motion.ticks for motion in self.motions) / self._robot.action_hz

    def run(self) -> ExitReason:
        """Run to the end; `exit_detail` says more about why it ended. Raises nothing."""
        try:
            self._prepare()
            self.control.start()
            self.inference.start()
            self._run_until_trouble()
        except Trouble as trouble:
            self._end(trouble.reason, str(trouble))
        except PolicyError as error:
            self._end(ExitReason.POLICY_FAULT, str(error))
        except UnichunkError as error:
            self._end(ExitReason.DRIVER_LOST if isinstance(error, TimeoutError) else ExitReason.REFUSED, str(error))
        except Exception:  # noqa: BLE001  whatever it was, the robot is held and the report says so
            self._end(ExitReason.INTERNAL_FAULT, traceback.format_exc())
        self._shut_down()
        return self.exit_reason

    def _prepare(self) -> None:
        """Everything that can refuse, before the robot moves."""
        self._enter(RunState.CONNECTING, "waiting for the driver")
        self._link.connect()
        self._connected = True
        self.note = "warming up the policy"
        self._first_row.warm_up(self._estimator, self._pause)
        self._first_row.think(self.inference.thoughts, self._pause)
        admit(
            delay=self._estimator.delay(),
            latency_s=self._estimator.latency_s(),
            chunk_length=self._policy.chunk_length,
            minimum_postfix=self._robot.minimum_postfix_ticks,
            trained_delay=self._policy.max_delay,
            action_hz=self._robot.action_hz,
        )
        if not self._policy.locks:
            self.events.add("stitching", STITCHES)

    def _run_until_trouble(self) -> None:
        """Run, hold, recover, again and again; leaves by raising what could not be recovered from."""
        for _ in range(self._options.recoveries + 1):
            trouble = self._run_once()
            rested = self._hold(str(trouble))
            if not trouble.recoverable:
                raise trouble
            if not rested:
                raise Trouble(trouble.reason, f"{trouble} (and an inference that does not end prevents recovery)")
            # A driver that comes back may find its robot elsewhere: not a word to it before synchronizing anew.
            self.loop.silence()
            self._recover(trouble)
            self.events.add("recovered", f"after: {trouble}")
        raise Trouble(trouble.reason, f"{trouble} (after {self._options.recoveries} recoveries)")

    def _run_once(self) -> Trouble:
        """Synchronize and run until something ends it."""
        try:
            first_row = self._synchronize()
            self._start_episode(first_row)
            while True:
                self._watch()
        except Trouble as trouble:
            return trouble
        except PolicyError as error:
            return Trouble(ExitReason.POLICY_FAULT, str(error))
        except UnichunkError as error:
            lost = isinstance(error, TimeoutError)
            return Trouble(ExitReason.DRIVER_LOST if lost else ExitReason.INTERNAL_FAULT, str(error), recoverable=lost)

    def _recover(self, trouble: Trouble) -> None:
        try:
            back = wait_for_recovery(self._link, self._robot, trouble.reason, self._options.recovery_s, self._pause)
            if back:
                self._first_row.think(self.inference.thoughts, self._pause, warm=True)
        except UnichunkError as error:
            raise Trouble(trouble.reason, f"{trouble} ({error})") from None
        if not back:
            raise trouble

    def _synchronize(self) -> NDArray[np.float64]:
        """Ramp from where the robot stands to the first row of a chunk made for standing there."""
        self._enter(RunState.SYNCING, "ramping to the first command")
        limits = self._robot.limits
        goal = np.clip(self._first_row(self._pause), limits.lower, limits.upper)
        self._checks.driver()
        # Measured after the inference, which takes its time: the stream begins where the robot stands now.
        start = standing_pose(self._link.states, limits, self._pause)
        ramp = Ramp(
            start,
            goal,
            velocity=SYNC_FRACTION * limits.velocity,
            acceleration=SYNC_FRACTION * limits.acceleration,
            jerk=SYNC_FRACTION * limits.jerk,
            command_hz=self._robot.command_hz,
        )
        self._checks.begin_following()
        self.loop.restart(start, ramp)
        while not ramp.finished:
            self._pause()
            self._checks.threads()
            self._checks.driver()
            self._checks.following()
            time.sleep(LOOK_S)
        return goal

    def _start_episode(self, rest: NDArray[np.float64]) -> None:
        """Seed the ring buffer with the pose reached and let both threads go."""
        if not self._task_begun:
            self._begin_task()
        first_tick = self.timebase.tick_at(time.monotonic_ns()) + 2
        unified = self._encode(rest[None], rest)[0]
        grace = min(self._policy.chunk_length, 2 * self._estimator.delay() + 2)
        self._ring.start(first_tick, grace, unified, rest)
        smoothing = smoothing_steps(self._robot.limits, self._robot.command_hz)
        self.motions.append(RingMotion(self._ring, self.timebase, first_tick, rest, smoothing))
        self.loop.follow(self.motions[-1])
        producer = Producer(
            self._ring,
            self._estimator,
            self.timebase,
            encode=self._encode,
            joint_step=self._robot.limits.velocity / self._robot.action_hz,
            minimum_postfix=self._robot.minimum_postfix_ticks,
            trained_delay=self._policy.max_delay,
            chunk_length=self._policy.chunk_length,
            number=self.inference.telemetry.asked,
            locks=self._policy.locks,
        )
        self.inference.begin(Episode(first_tick, producer))
        self._enter(RunState.RUNNING, "")

    def _encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        """Joint rows (m, n) after the row before them (n,) as the policy's unified rows (m, 200)."""
        return self._policy.encode_actions(self._adapter.actions(joints, before))

    def _begin_task(self) -> None:
        self.task_unmeasured = self._link.control.task_begin(self._options.instruction)
        if self.task_unmeasured:
            self.events.add("task", self.task_unmeasured)
        self._task_begun = True

    def _watch(self) -> None:
        self._pause()
        self._checks.threads()
        self._checks.driver()
        self._checks.following()
        self._checks.sensors()
        self._checks.policy()
        duration_s = self._options.duration_s
        if duration_s is not None and self.elapsed_s >= duration_s:
            raise Trouble(ExitReason.COMPLETED, f"ran for {duration_s:g} s as asked")
        time.sleep(LOOK_S)

    def _hold(self, note: str) -> bool:
        """Brake to rest and let the inference thread rest too; False where an inference does not end."""
        self.loop.hold()
        self._enter(RunState.HOLDING, note)
        deadline = time.monotonic() + max(LEAST_REST_S, REST_MARGIN * self._robot.limits.stopping_s)
        while not self.loop.settled and self.control.is_alive() and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return self.inference.pause(self._options.recovery_s)

    def _pause(self) -> None:
        """What is done in every wait: show, keep the driver's attention, hear a request to stop."""
        self._hear_thoughts()
        self._look(self)
        now = time.monotonic()
        if self._connected and now > self._next_ping:
            self._next_ping = now + PING_S
            with contextlib.suppress(UnichunkError):  # whether it lives is told by its states
                self._link.control.ping(PING_TIMEOUT_S)
        self._checks.stop()

    def _hear_thoughts(self) -> None:
        for kind, text in self.inference.thoughts.news():
            self.events.add(kind, text)

    def _enter(self, state: RunState, note: str) -> None:
        self._hear_thoughts()
        self.state = state
        self.note = note
        self.events.add(state.value, note)

    def _end(self, reason: ExitReason, detail: str) -> None:
        self.exit_reason = reason
        self.exit_detail = detail

    def _shut_down(self) -> None:
        """Hold, ask for the last numbers, release everything: each step whatever became of the one before."""
        if self.control.is_alive() and self.state is not RunState.HOLDING:
            self._attempt("hold", lambda: self._hold(self.exit_detail))
        if self._connected and self.exit_reason is not ExitReason.DRIVER_LOST:
            self._attempt("task", self._fetch_task)
            self._attempt("driver status", self._fetch_status)
        for thread in (self.inference, self.control):
            if thread.ident is not None:
                self._attempt(f"{thread.name} thread", thread.stop)
        self._attempt("link", self._link.close)
        self._enter(RunState.STOPPED, self.exit_detail)
        self._attempt("look", lambda: self._look(self))

    def _attempt(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  shutting down goes on, and the report says what failed
            self.events.add("shutdown", f"{what}: {error!r}")

    def _fetch_task(self) -> None:
        if self._task_begun:
            self.task = dict(self._link.control.task_end())

    def _fetch_status(self) -> None:
        self.driver_status = self._link.status_report()
