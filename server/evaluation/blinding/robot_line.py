"""One robot's line to the proxy: requests in, rows out, each at a fixed time after its request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.blinding.action_buffer import TickRefused
from unichunk.server.evaluation.blinding.answer import BAD_REQUEST, answer, greeting
from unichunk.server.evaluation.blinding.mode import Mode
from unichunk.server.evaluation.blinding.request import BadRequest, read_request
from unichunk.server.evaluation.blinding.robot_view import RobotView
from unichunk.server.serving.websocket import BinaryOnly
from unichunk.server.wire.jpeg import encode_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.blinding.drive import Drive
    from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
    from unichunk.server.evaluation.blinding.request import RobotRequest
    from unichunk.server.evaluation.blinding.seats import Seats
    from unichunk.server.evaluation.planning.campaign import Blinding
    from unichunk.server.serving.websocket import Socket

CLOSE_BAD: Final = 1008
CLOSE_REPLACED: Final = 1001
PICTURE_QUALITY: Final = 80


class RobotLine:
    """Answers one robot, one request at a time, whether it holds, goes home or runs. In one event loop.

    Args:
        name: Of the robot.
        spec: The embodiment.
        blinding: Of the plan: H, and when answers leave.
        options: What is no matter of the plan.
        drive: What moves the robot.
        seats: The policies, to be warmed up for it.
        clock: Monotonic, [s].
    """

    def __init__(
        self,
        name: str,
        spec: EmbodimentSpec,
        blinding: Blinding,
        options: ProxyOptions,
        drive: Drive,
        seats: Seats,
        clock: Callable[[], float],
    ) -> None:
        self.name: Final = name
        self.drive: Final = drive
        self.late_answers = 0
        """Answers that left later than they should have: something held up the event loop."""
        self._spec, self._options, self._seats, self._clock = spec, options, seats, clock
        self._answer_s = blinding.answer_ms / 1e3
        self._greeting = greeting(spec, blinding.rows)
        self._socket: Socket | None = None
        self._heard_at = -float("inf")
        self._newest: RobotRequest | None = None
        self._warm = False

    @property
    def ready(self) -> bool:
        """Whether it is connected, and any policy may drive it now."""
        return self._socket is not None and self._newest is not None and self._seats.ready

    @property
    def taken(self) -> bool:
        """Whether the robot is connected, and was heard not long ago: nobody else can be it."""
        return self._socket is not None and self._silence_s <= self._options.robot_lost_s * self.drive.patience

    def view(self) -> RobotView:
        """What others may know."""
        return RobotView(
            name=self.name,
            connected=self._socket is not None and self._newest is not None and (self._warm or self._seats.ready),
            last_seen_s=self._silence_s,
            mode=self.drive.buffer.mode,
            at_home=self.ready and self.drive.buffer.at_home,
            cameras=tuple(self._spec.cameras),
        )

    def look(self) -> None:
        """Notice a robot that has fallen silent; called again and again."""
        if self.drive.buffer.mode is not Mode.HOLD and not self.taken:
            self._lost()

    def picture(self, camera: str | None) -> bytes | None:
        """The newest picture of a camera as JPEG, or of the first one; None where there is none. From any thread."""
        newest = self._newest
        images = {} if newest is None else newest.images
        image = images.get(camera or next(iter(images), ""))
        return None if image is None else encode_jpeg(image, PICTURE_QUALITY)

    async def serve(self, socket: Socket) -> None:
        """Serve a connection until it ends.

        Args:
            socket: Accepted; the robot's key was checked.
        """
        before, self._socket = self._socket, socket
        self._heard_at, self._newest, self._warm = self._clock(), None, False
        if before is not None:
            self._lost()
            await before.close(CLOSE_REPLACED, "")
        try:
            await socket.send(self._greeting)
            while self._socket is socket and (message := await socket.receive()) is not None:
                came_at = self._heard_at = self._clock()
                if self._socket is socket:
                    await socket.send(await self._answer(message, came_at))
                self._heard_at = self._clock()
        except (BadRequest, TickRefused, BinaryOnly):
            # Nothing that depends on what was wrong, or on who drives.
            await socket.send(BAD_REQUEST)
            await socket.close(CLOSE_BAD, "")
        finally:
            if self._socket is socket:
                self._socket = None
                self._lost()

    @property
    def _silence_s(self) -> float:
        return self._clock() - self._heard_at

    def _lost(self) -> None:
        self.drive.lose("robot lost")

    async def _answer(self, message: bytes, came_at: float) -> bytes:
        drive = self.drive
        request = read_request(message, self._spec)
        if self._newest is None:
            drive.lockstep = request.lockstep and self._options.sim_robots
            drive.buffer.connect(request.joints)
        tick = drive.buffer.place(request.tick, request.joints)
        if self._newest is None:
            self._seats.warm_up(drive.seen(request, tick))
        self._newest = request
        # Once is enough, see `RobotView`.
        self._warm = self._warm or self._seats.ready
        if request.done and drive.buffer.mode is Mode.RUN:
            drive.lose("task done")
        if drive.lockstep:
            await drive.chunks_there(tick)
            drive.observe(request, tick)
        else:
            drive.observe(request, tick)
            await self._wait_until(came_at + self._answer_s)
        return answer(drive.hand_out(request, tick, came_at))

    async def _wait_until(self, moment: float) -> None:
        left = moment - self._clock()
        if left > 0:
            await asyncio.sleep(left)
        else:
            self.late_answers += 1
