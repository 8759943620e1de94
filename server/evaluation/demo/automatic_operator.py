"""Runs the trials of the demonstration as an operator does: by the desk, with a key of its own, blind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.demo.reach_scorer import ReachScorer
from unichunk.server.evaluation.errors import EvaluationError, NotNow

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from unichunk.embodiments.sim.twin import Truth
    from unichunk.server.evaluation.demo.robot_thread import RobotThread
    from unichunk.server.evaluation.demo.simulated_robot import SimulatedRobot
    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.views import TrialView
    from unichunk.server.serving.identity import Identity

BUMPED_EVERY: Final = 13
BUMPED_FIRST: Final = 5
"""Every thirteenth trial from the fifth on is spoilt, whatever drives: somebody bumped into the table."""

BUMPED_S: Final = 0.8
"""How far such a trial gets, in simulated time, [s]."""

HOME_EXCHANGES: Final = 200
"""After so many exchanges an arm that is not in its start pose never will be."""

FIRST_EXCHANGES: Final = 2000
"""The proxy gets its policies warm with the first observations; after so many it never will."""

MOST_REFUSALS: Final = 10
"""So often in a row another operator may be faster."""


class AutomaticOperator:
    """Takes trial after trial until none is left.

    Of a trial it knows what a person at the page would know. It scores by the simulator's truth, guesses the policy
    at random, and prefers of two trials the one that succeeded.

    Args:
        desk: The campaign's desk.
        who: The operator.
        name: The robot's name.
        robot: The robot.
        near: Within this distance the gripper is over the block, [m].
        random: For guesses alone.
        told: Called after each trial with how many are scored, and how many there are.
    """

    def __init__(
        self,
        desk: Desk,
        who: Identity,
        name: str,
        robot: RobotThread,
        near: float,
        random: np.random.Generator,
        told: Callable[[int, int], None] = lambda scored, total: None,  # noqa: ARG005
    ) -> None:
        self._desk, self._who, self._name, self._robot = desk, who, name, robot
        self._near, self._random, self._told = near, random, told
        self._taken = 0
        self._succeeded: dict[str, bool] = {}

    async def run(self) -> None:
        """Run trials until none is left.

        Raises:
            EvaluationError: Where the desk refuses something that an operator must be able to do.
        """
        refused = 0
        while await self._desk.next_trial(self._who) is not None:
            await self._connect()
            self._taken += 1
            try:
                view = await self._desk.lease(self._who, self._name, f"lease/{self._name}/{self._taken}")
            except NotNow:
                # Another operator was faster, and it may have been the last one.
                refused += 1
                if refused > MOST_REFUSALS:
                    raise
                continue
            refused = 0
            await self._trial(view)
            overview = await self._desk.overview(self._who)
            self._told(overview.scored, overview.total)

    async def _connect(self) -> None:
        for _ in range(FIRST_EXCHANGES):
            await self._robot.do(_exchange)
            robots = (await self._desk.overview(self._who)).robots
            if any(robot.name == self._name and robot.connected for robot in robots):
                return
        raise EvaluationError(f"the robot {self._name} asks for rows, but the service does not take it for connected")

    async def _trial(self, view: TrialView) -> None:
        desk, who, trial = self._desk, self._who, view.trial
        await self._robot.do(lambda robot: robot.arrange(view.layout))
        await desk.arm(who, trial, f"arm/{trial}")
        await self._go_home()
        await desk.start_trial(who, trial, f"start/{trial}")
        bumped = self._taken % BUMPED_EVERY == BUMPED_FIRST
        scorer = await self._watch(BUMPED_S if bumped else None)
        ended = await desk.stop_trial(who, trial, f"stop/{trial}")
        if ended.state == "interrupted":
            await desk.void(who, trial, f"interrupted: {ended.reason}", f"void/{trial}")
        elif bumped:
            await desk.void(who, trial, "somebody bumped into the table", f"void/{trial}")
        else:
            seen = scorer.judge()
            self._succeeded[trial] = seen.success
            await desk.score(who, trial, seen.success, seen.rubric, "", f"score/{trial}")
            await self._afterwards()

    async def _go_home(self) -> None:
        for _ in range(HOME_EXCHANGES):
            await self._robot.do(_exchange)
            robots = (await self._desk.overview(self._who)).robots
            if any(robot.name == self._name and robot.at_home for robot in robots):
                return
        raise EvaluationError(f"the robot {self._name} does not get to its start pose")

    async def _watch(self, at_most_s: float | None) -> ReachScorer:
        """Let the policy drive until the scorer has seen enough, or for so long, [s]."""
        start = await self._robot.do(lambda robot: robot.truth)
        scorer = ReachScorer(self._near, start)
        while not scorer.over:
            truth = await self._robot.do(_exchange)
            scorer.look(truth)
            if at_most_s is not None and truth.time - start.time >= at_most_s:
                break
        return scorer

    async def _afterwards(self) -> None:
        """Answer what an operator is asked after a trial: which policy it was, and which of two trials was better."""
        asked = (await self._desk.overview(self._who)).afterwards
        if asked is None:
            return
        if asked.policies:
            guess = str(self._random.choice(["", *asked.policies]))
            await self._desk.guess(self._who, asked.trial, guess, f"guess/{asked.trial}")
        if asked.other in self._succeeded:
            this, other = self._succeeded[asked.trial], self._succeeded[asked.other]
            better = "neither" if this == other else "this" if this else "other"
            await self._desk.prefer(self._who, asked.trial, asked.other, better, f"prefer/{asked.trial}")


def _exchange(robot: SimulatedRobot) -> Truth:
    robot.exchange()
    return robot.truth
