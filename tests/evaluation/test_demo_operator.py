"""The demonstration's operator at a desk that does as it is told, with a robot that needs no simulator."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unichunk.embodiments.sim.twin import Truth
from unichunk.server.evaluation.demo.automatic_operator import (
    BUMPED_EVERY,
    BUMPED_FIRST,
    MOST_REFUSALS,
    AutomaticOperator,
)
from unichunk.server.evaluation.errors import EvaluationError, NotNow
from unichunk.server.serving.identity import Identity, Role

WHO = Identity("id", "ada", Role.OPERATOR)


class FakeRobot:
    """Its gripper is over the block, or is not; an exchange takes a fifth of a simulated second."""

    def __init__(self) -> None:
        self.time = 0.0
        self.error = 0.0
        self.layouts: list[str] = []

    def arrange(self, layout: str) -> None:
        self.layouts.append(layout)

    def exchange(self) -> None:
        self.time += 0.2

    @property
    def truth(self) -> Truth:
        return Truth(time=self.time, q=np.zeros(6), tools={}, blocks={}, errors={"red": self.error, "blue": 1.0})

    async def do(self, what: Any) -> Any:
        return what(self)


class FakeDesk:
    """Hands out so many trials and writes down what is asked of it."""

    def __init__(self, robot: FakeRobot, trials: int) -> None:
        self.robot, self.left = robot, trials
        self.done: list[tuple[Any, ...]] = []
        self.interrupts: set[str] = set()
        self.afterwards: Any = None
        self.connected = self.home = True
        self.refusals = 0
        self.number = 0

    async def next_trial(self, who: Identity) -> Any:
        return "trial" if self.left else None

    async def lease(self, who: Identity, robot: str, key: str) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise NotNow("somebody was faster")
        self.left -= 1
        self.number += 1
        trial = f"t{self.number}"
        # Every other trial succeeds.
        self.robot.error = 0.0 if self.number % 2 else 0.1
        self.done.append(("lease", trial))
        return SimpleNamespace(trial=trial, layout="left")

    async def overview(self, who: Identity) -> Any:
        robot = SimpleNamespace(name="twin-1", connected=self.connected, at_home=self.home)
        return SimpleNamespace(robots=(robot,), afterwards=self.afterwards, scored=0, total=0)

    async def stop_trial(self, who: Identity, trial: str, key: str) -> Any:
        self.done.append(("stop", trial))
        lost = trial in self.interrupts
        return SimpleNamespace(state="interrupted" if lost else "awaiting score", reason="policy lost" if lost else "")

    async def score(self, who: Identity, trial: str, success: bool, rubric: Any, note: str, key: str) -> None:
        self.done.append(("score", trial, success, rubric))
        self.afterwards = SimpleNamespace(trial=trial, policies=("a", "b"), other=f"t{self.number - 1}")

    def __getattr__(self, name: str) -> Any:
        async def call(who: Identity, trial: str, *rest: Any) -> None:
            assert rest[-1].startswith(name.removesuffix("_trial"))
            self.done.append((name, trial, *rest[:-1]))

        return call


def run(trials: int, **settings: Any) -> FakeDesk:
    robot = FakeRobot()
    desk = FakeDesk(robot, trials)
    for name, value in settings.items():
        setattr(desk, name, value)
    operator = AutomaticOperator(desk, WHO, "twin-1", robot, 0.03, np.random.default_rng(0))  # type: ignore[arg-type]
    asyncio.run(operator.run())
    return desk


def test_a_trial_in_its_order_and_what_is_asked_afterwards() -> None:
    desk = run(2)
    names = [(done[0], done[1]) for done in desk.done]
    assert names[:6] == [(name, "t1") for name in ("lease", "arm", "start_trial", "stop", "score", "guess")]
    assert ("score", "t1", True, (True, True)) in desk.done
    assert ("score", "t2", False, (False, False)) in desk.done
    assert desk.done[-1] == ("prefer", "t2", "t1", "other")
    assert desk.robot.layouts == ["left", "left"]


def test_what_was_bumped_is_void_whatever_drove() -> None:
    desk = run(BUMPED_FIRST + BUMPED_EVERY)
    void = [done for done in desk.done if done[0] == "void"]
    assert [done[1] for done in void] == [f"t{BUMPED_FIRST}", f"t{BUMPED_FIRST + BUMPED_EVERY}"]
    assert all("bumped" in done[2] for done in void)
    scored = {done[1] for done in desk.done if done[0] == "score"}
    assert not scored & {done[1] for done in void}


def test_an_interrupted_trial_is_void() -> None:
    desk = run(3, interrupts={"t2"})
    assert ("void", "t2", "interrupted: policy lost") in desk.done
    assert {done[1] for done in desk.done if done[0] == "score"} == {"t1", "t3"}


def test_guesses_do_not_depend_on_what_was_seen() -> None:
    desk = run(60)
    guesses = [done[2] for done in desk.done if done[0] == "guess"]
    assert set(guesses) == {"", "a", "b"}
    # The generator's own sequence, and nothing else.
    random = np.random.default_rng(0)
    assert guesses == [str(random.choice(["", "a", "b"])) for _ in guesses]


def test_another_operator_may_be_faster() -> None:
    assert len([done for done in run(2, refusals=MOST_REFUSALS).done if done[0] == "score"]) == 2
    with pytest.raises(NotNow):
        run(2, refusals=MOST_REFUSALS + 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"connected": False}, "does not take it for connected"), ({"home": False}, "does not get to its start pose")],
)
def test_a_robot_that_does_not_come_along(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        run(1, **settings)
