"""What the runtime tells an adapter: which joint row a chunk goes on from, and how many rows are not its own."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import PolicyError
from unichunk.runtime.first_row import FirstRow
from unichunk.runtime.inference_thread import InferenceThread
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.observation import Observation, RobotState
from unichunk.runtime.producer import Commitment

if TYPE_CHECKING:
    from tests.runtime.fake_policy import Joints

T, N = 6, 3
STANDING = np.array([0.1, 0.2, 0.3])


class Calls:
    """Policy, adapter, source and producer at once; keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Joints, int]] = []
        self.finished: list[Joints] = []
        self.state_time = "observation"
        self.shown: list[list[float]] = []
        self.running: list[tuple[int, ...] | None] = []
        ran, before = np.array([4.0, 4.5, 6.5]), np.array([4.0, 5.0, 6.0])
        self.commitment = Commitment(0, 7, 2, np.zeros((T, 200), np.float32), ran, before, 0, 0, saturated=False)

    def newest(self) -> Observation:
        return Observation(0, RobotState(0, 0, STANDING, np.zeros(N), False), {})

    def policy_input(self, observation: Observation, instruction: str) -> dict[str, Any]:
        self.shown.append(observation.state.q.tolist())
        return {}

    def infer(self, observation: object, previous: Any = None, delay: int = 0) -> object:
        self.running.append(None if previous is None else previous.shape)
        actions = {"action.arm": np.zeros((T, N))}
        return SimpleNamespace(unified=np.zeros((T, 200), np.float32), actions=actions, cold=False, text=None)

    def joints(self, actions: dict[str, Joints], before: Joints, delay: int = 0) -> Joints:
        self.told.append((before.copy(), delay))
        return actions["action.arm"] + 1.0

    def begin(self, stamp_ns: int, now_ns: int, *, aged: bool) -> Commitment:
        return self.commitment

    def finish(self, commitment: Commitment, unified: object, joints: Joints, clock: object, *, cold: bool) -> object:
        assert commitment is self.commitment
        self.finished.append(joints)
        raise PolicyError("seen enough")


def infer(calls: Any) -> None:
    limits = JointLimits.of(("a", "b", "c"), [-1.0] * N, [0.75] * N, [1.0] * N, [1.0] * N)
    InferenceThread(calls, calls, calls, "go", calls, calls, calls, limits)._produce(calls.newest(), calls)


def test_a_chunk_goes_on_from_the_last_committed_row() -> None:
    calls: Any = Calls()
    infer(calls)
    [(before, delay)] = calls.told
    assert before.tolist() == [4.0, 5.0, 6.0]
    assert delay == 2
    assert calls.finished[0].shape == (T, N)


def test_a_policy_is_told_the_state_that_it_was_trained_to_be_told() -> None:
    calls: Any = Calls()
    infer(calls)
    calls.state_time = "takeover"
    infer(calls)
    assert calls.shown == [[0.1, 0.2, 0.3], [0.1, 0.7, -0.2]], "the joints go on by what the committed rows go on by"


def test_a_policy_is_told_the_rows_of_the_running_plan_that_are_there() -> None:
    calls: Any = Calls()
    for overlap, delay in ((0, 0), (1, 0), (4, 2), (1, 2), (T, 2)):
        calls.commitment = replace(calls.commitment, overlap=overlap, delay=delay)
        infer(calls)
    assert calls.running == [None, (1, 200), (4, 200), (2, 200), (T, 200)]


def test_the_first_row_goes_on_from_where_the_robot_stands() -> None:
    calls: Any = Calls()
    assert FirstRow(calls, calls, calls, "go")().tolist() == [1.0, 1.0, 1.0]
    [(before, delay)] = calls.told
    assert before.tolist() == STANDING.tolist()
    assert delay == 0
