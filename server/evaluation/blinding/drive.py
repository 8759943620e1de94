"""What moves one robot: its action buffer, and the policy that fills it during a trial. In one event loop."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from unichunk.runtime.errors import PolicyLate
from unichunk.runtime.observation import CameraFrame, Observation, RobotState
from unichunk.server.evaluation.blinding.action_buffer import ActionBuffer
from unichunk.server.evaluation.blinding.driven_trial import DrivenTrial
from unichunk.server.evaluation.blinding.episodes import Step
from unichunk.server.evaluation.blinding.hidden_policy import Seen
from unichunk.server.evaluation.blinding.trial_rows import TrialRows

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.blinding.episodes import EpisodeRecorder
    from unichunk.server.evaluation.blinding.hidden_policy import Predicted
    from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
    from unichunk.server.evaluation.blinding.request import RobotRequest
    from unichunk.server.evaluation.blinding.seats import Seats
    from unichunk.server.evaluation.blinding.trial_rows import Ticket
    from unichunk.server.evaluation.planning.campaign import Blinding

EventCode = Literal["policy lost", "robot lost", "task done"]


class Drive:
    """Holds, goes home, or runs a trial; whatever fails leads to holding.

    Args:
        spec: The embodiment.
        blinding: Of the plan.
        options: What is no matter of the plan.
        seats: The policies.
        record: Makes the recorder of a trial's episode; None: nothing is kept.
        tell: Told of a trial that ended by itself: its id, and a code.
        ended: Told of every trial that ended, with its counts, which tell policies apart.
        clock: Monotonic, [s].
    """

    def __init__(
        self,
        spec: EmbodimentSpec,
        blinding: Blinding,
        options: ProxyOptions,
        seats: Seats,
        *,
        record: Callable[[str], EpisodeRecorder | None],
        tell: Callable[[str, EventCode], None],
        ended: Callable[[DrivenTrial], None],
        clock: Callable[[], float],
    ) -> None:
        self.buffer: Final = ActionBuffer(spec, blinding.rows)
        self.lockstep = False
        """Whether the robot is a simulation whose time waits."""
        self._spec, self._blinding, self._options, self._seats = spec, blinding, options, seats
        self._record, self._tell, self._ended, self._clock = record, tell, ended, clock
        self._trial: DrivenTrial | None = None
        self._changed = asyncio.Event()
        self._observations = 0

    @property
    def trial(self) -> str | None:
        """Opaque id of the trial that runs."""
        return None if self._trial is None else self._trial.id

    @property
    def patience(self) -> float:
        """Factor of all times after which somebody is lost."""
        return self._options.patience(lockstep=self.lockstep)

    def hold(self) -> None:
        """Stay, from the next row on that was not handed out; a trial ends without a word."""
        self.buffer.hold()
        self._end_trial()

    def home(self) -> None:
        """Go to the rest pose; a trial ends without a word."""
        self.buffer.home()
        self._end_trial()

    def run(self, trial: str, policy: int, instruction: str) -> None:
        """Let a policy drive.

        Args:
            trial: Opaque id.
            policy: Its number.
            instruction: What it is told.

        Raises:
            NotNow: Where the policy is not ready.
        """
        self._end_trial()
        seat, connected = self._seats.get(policy)
        delay = self._blinding.equalized_ticks or (self._blinding.rows if self.lockstep else None)

        def rows(tick: int, row: NDArray[np.float64]) -> TrialRows:
            limits, expected_s = self.buffer.limits, connected.expected_s
            return TrialRows(
                self._spec, limits, self._blinding, connected, tick, row, delay=delay, expected_s=expected_s
            )

        source = rows(self.buffer.end, self.buffer.row)
        self.buffer.drive(lambda *_: source)
        self._trial = DrivenTrial(
            id=trial,
            instruction=instruction,
            seed=secrets.randbits(31),
            seat=seat,
            policy=connected,
            rows=source,
            recorder=self._record(trial),
            watch=None,
            begun_at=self._clock(),
        )

    def lose(self, code: EventCode, *, hangs: bool = False) -> None:
        """Something of the trial is gone, or done: hold, and say so.

        Args:
            code: What.
            hangs: Of a policy: whether it is still busy with something.
        """
        trial = self._trial
        self.hold()
        if trial is not None:
            if code == "policy lost":
                self._seats.lose(trial.seat, hangs=hangs)
            self._tell(trial.id, code)

    def seen(self, request: RobotRequest, tick: int) -> Seen:
        """An observation, as policies get it."""
        stamp_ns = round(self._clock() * 1e9)
        self._observations += 1
        count, q = self._observations, request.joints.astype("float64")
        state = RobotState(stamp_ns=stamp_ns, sequence=count, q=q, dq=q * 0, watchdog=False)
        frames = {name: CameraFrame(stamp_ns, count, image) for name, image in request.images.items()}
        trial = self._trial
        return Seen(
            observation=Observation(stamp_ns=stamp_ns, state=state, frames=frames),
            instruction="" if trial is None else trial.instruction,
            tick=tick,
            trial_seed=0 if trial is None else trial.seed,
            others=request.others,
        )

    async def chunks_there(self, tick: int) -> None:
        """Wait until every chunk is there that the rows of `tick` ... `tick` + H - 1 depend on."""
        while (trial := self._trial) is not None:
            depends = trial.rows.waits_at
            if depends is None or depends >= tick + self._blinding.rows:
                return
            self._changed.clear()
            await self._changed.wait()

    def observe(self, request: RobotRequest, tick: int) -> None:
        """Begin an inference on an observation, where one is due."""
        trial = self._trial
        ticket = None if trial is None else trial.rows.begin(tick)
        if trial is None or ticket is None:
            return
        if trial.watch is None:
            loop = asyncio.get_running_loop()
            patience_s = self._options.policy_lost_s * self.patience
            trial.watch = loop.call_later(patience_s, self._silent, trial)
        future = trial.seat.predict(trial.policy, self.seen(request, tick), ticket.commitment)
        asyncio.wrap_future(future).add_done_callback(partial(self._predicted, trial, ticket))

    def hand_out(self, request: RobotRequest, tick: int, came_at: float) -> NDArray[np.float32]:
        """The rows of an answer, shape (H, n), [rad].

        Args:
            request: What is answered.
            tick: Of its observation.
            came_at: When it came, monotonic, [s].
        """
        rows = self.buffer.hand_out(tick, request.delay)
        if self._trial is not None and self._trial.recorder is not None:
            # A simulation's clock are its ticks: how long it waited for the policy is nobody's business.
            time_s = tick / self._spec.action_hz if self.lockstep else came_at
            self._trial.recorder.step(Step(tick, request.joints, rows, time_s, request.images))
        return rows

    def _predicted(self, trial: DrivenTrial, ticket: Ticket, future: Future[Predicted]) -> None:
        error = None if future.cancelled() else future.exception()
        if trial is not self._trial or future.cancelled():
            return
        if isinstance(error, PolicyLate):
            trial.rows.drop(ticket)
        elif error is not None:
            self.lose("policy lost")
        else:
            self._take(trial, ticket, future.result())
        self._changed.set()

    def _take(self, trial: DrivenTrial, ticket: Ticket, predicted: Predicted) -> None:
        try:
            trial.rows.finish(ticket, predicted.unified, predicted.joints, cold=predicted.cold)
        except Exception:  # noqa: BLE001  whatever is wrong with a chunk, the robot holds
            self.lose("policy lost")
            return
        if trial.watch is not None:
            trial.watch.cancel()
            trial.watch = None

    def _silent(self, trial: DrivenTrial) -> None:
        if trial is self._trial:
            self.lose("policy lost", hangs=True)

    def _end_trial(self) -> None:
        trial, self._trial = self._trial, None
        self._changed.set()
        if trial is None:
            return
        if trial.watch is not None:
            trial.watch.cancel()
        if trial.recorder is not None:
            trial.recorder.finish()
        self._ended(trial)
