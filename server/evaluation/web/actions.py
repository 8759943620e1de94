"""What operators and administrators do, as their pages send it: with a key, so that it may be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import Response  # noqa: TC002  (read at run time)

from unichunk.server.evaluation.web import bodies
from unichunk.server.evaluation.web.gate import read_body, request_key
from unichunk.server.evaluation.web.now import Changed, json
from unichunk.server.evaluation.web.refusals import StaleTicket
from unichunk.server.serving.identity import Right

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.views import TrialView
    from unichunk.server.evaluation.web.gate import Gate
    from unichunk.server.evaluation.web.tickets import Tickets
    from unichunk.server.serving.identity import Identity

JUDGE: Final = (Right.OPERATE,)
MANAGE: Final = (Right.OPERATE, Right.ADMINISTER)


class Actions:
    """Passes commands on; what is allowed when is the desk's business.

    Args:
        desk: The campaign.
        gate: Knows who asks.
        tickets: For what sets robots in motion.
    """

    def __init__(self, desk: Desk, gate: Gate, tickets: Tickets) -> None:
        self._desk = desk
        self._gate = gate
        self._tickets = tickets

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route("/api/lease", self.lease, methods=["POST"])
        app.add_api_route("/api/hold", self.hold, methods=["POST"])
        for name in ("arm", "start", "stop", "release", "score", "void", "note", "guess", "prefer"):
            app.add_api_route(f"/api/trials/{{trial}}/{name}", getattr(self, name), methods=["POST"])

    async def lease(self, request: Request) -> Response:
        """Take the next trial for a robot; nothing moves."""
        who, key = self._who(request, *JUDGE)
        wanted = await read_body(request, bodies.OfRobot)
        return _changed(await self._desk.lease(who, wanted.robot, key))

    async def hold(self, request: Request) -> Response:
        """Emergency: a robot holds at once."""
        who = self._gate.stopper(request, *MANAGE).who
        key = request_key(request, who)
        wanted = await read_body(request, bodies.OfRobot)
        await self._desk.emergency_stop(who, wanted.robot, key)
        return _changed(None)

    async def arm(self, request: Request, trial: str) -> Response:
        """The scene is set: the robot goes to its start pose."""
        who, key = await self._mover(request)
        return _changed(await self._desk.arm(who, trial, key))

    async def start(self, request: Request, trial: str) -> Response:
        """The policy drives."""
        who, key = await self._mover(request)
        return _changed(await self._desk.start_trial(who, trial, key))

    async def stop(self, request: Request, trial: str) -> Response:
        """The robot holds, and the trial awaits its score."""
        who, key = self._who(request, *JUDGE)
        await read_body(request, bodies.Nothing)
        return _changed(await self._desk.stop_trial(who, trial, key))

    async def release(self, request: Request, trial: str) -> Response:
        """Give it back."""
        who, key = self._who(request, *MANAGE)
        await read_body(request, bodies.Nothing)
        return _changed(await self._desk.release(who, trial, key))

    async def score(self, request: Request, trial: str) -> Response:
        """Judge it, once."""
        who, key = self._who(request, *JUDGE)
        given = await read_body(request, bodies.Judgement)
        return _changed(await self._desk.score(who, trial, given.success, given.rubric, given.note, key))

    async def void(self, request: Request, trial: str) -> Response:
        """It does not count."""
        who, key = self._who(request, *MANAGE)
        return _changed(await self._desk.void(who, trial, (await read_body(request, bodies.Why)).reason, key))

    async def note(self, request: Request, trial: str) -> Response:
        """Write something down."""
        who, key = self._who(request, *JUDGE)
        await self._desk.note(who, trial, (await read_body(request, bodies.Remark)).text, key)
        return _changed(None)

    async def guess(self, request: Request, trial: str) -> Response:
        """Which policy it may have been."""
        who, key = self._who(request, *JUDGE)
        await self._desk.guess(who, trial, (await read_body(request, bodies.Opinion)).policy, key)
        return _changed(None)

    async def prefer(self, request: Request, trial: str) -> Response:
        """Which of two trials was better."""
        who, key = self._who(request, *JUDGE)
        given = await read_body(request, bodies.Comparison)
        await self._desk.prefer(who, trial, given.other, given.better, key)
        return _changed(None)

    def _who(self, request: Request, *rights: Right) -> tuple[Identity, str]:
        who = self._gate.sender(request, *rights).who
        return who, request_key(request, who)

    async def _mover(self, request: Request) -> tuple[Identity, str]:
        """Who sets a robot in motion, having seen the present state a moment ago."""
        who, key = self._who(request, *JUDGE)
        if not self._tickets.is_fresh((await read_body(request, bodies.Motion)).ticket):
            raise StaleTicket("the page that wants a robot to move is too old")
        return who, key


def _changed(trial: TrialView | None) -> Response:
    return json(Changed(trial=trial))
