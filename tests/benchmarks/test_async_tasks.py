"""Every task of the asynchronous control benchmark keeps to what its protocol says, and its expert can do it."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from unichunk.benchmarks.async_control.tasks import TASKS
from unichunk.embodiments.errors import EmbodimentError

COUNT = 64
OWN = {"catch": 2, "swing_up": 3, "land": 6, "intercept": 4}
"""Leading columns of an observation that are the robot's own."""
WINDS = {"catch": (), "swing_up": ("wind",), "land": ("gust",), "intercept": ("wind",)}


class Still(np.random.Generator):
    """Draws nothing but zeros: no noise."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, size: Any = None, **_: Any) -> Any:
        return np.zeros(size)


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> Any:
    return TASKS[request.param]()


def begun(task: Any, count: int = COUNT, seed: int = 0) -> tuple[Any, np.random.Generator, np.ndarray]:
    random = np.random.default_rng(seed)
    return task.begin(random, count), random, random.integers(task.modes, size=count)


def played(task: Any, exploration: float, ticks: int, seed: int = 0, count: int = COUNT) -> Any:
    state, random, mode = begun(task, count, seed)
    explore = np.random.default_rng(seed + 1)
    for _ in range(ticks):
        action = task.expert(state, mode)
        assert action.shape == (count, task.actions)
        assert np.abs(action).max() <= 1.0
        state = task.step(state, action + exploration * explore.standard_normal(action.shape), random)
    return state


def arrays(state: Any, rows: slice = slice(None)) -> list[np.ndarray]:
    values = [getattr(state, field.name) for field in fields(state)]
    return [value[rows] for value in values if isinstance(value, np.ndarray)]


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(left, right, strict=True))


def one_of(state: Any, i: int) -> Any:
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    return replace(state, **{k: v[i : i + 1] for k, v in values.items() if isinstance(v, np.ndarray)})


def test_shapes_and_scale(task: Any) -> None:
    assert task.modes >= 2
    assert TASKS[task.name] is type(task)
    state = played(task, 0.3, task.ticks // 2)
    seen = task.observe(state)
    assert seen.shape == (COUNT, task.observations)
    assert seen.dtype == np.float32
    assert np.abs(seen).max() < 6.0
    assert task.success(state).shape == (COUNT,)
    assert task.success(state).dtype == np.bool_


def test_the_seed_decides(task: Any) -> None:
    one, again, other = (arrays(played(task, 0.3, 10, seed)) for seed in (3, 3, 4))
    assert same(one, again)
    assert not same(one, other)


def test_a_state_is_never_changed_in_place(task: Any) -> None:
    state, random, mode = begun(task)
    before = [value.copy() for value in arrays(state)]
    task.observe(state)
    task.success(state)
    task.step(state, task.expert(state, mode), random)
    assert same(arrays(state), before)


def test_episodes_do_not_touch_each_other(task: Any) -> None:
    state, mode = played(task, 0.3, 15), np.arange(COUNT) % task.modes
    action = task.expert(state, mode)
    together = task.step(state, action, Still())
    for i in (0, COUNT - 1):
        alone = one_of(state, i)
        assert np.array_equal(task.expert(alone, mode[i : i + 1]), action[i : i + 1])
        after = task.step(alone, action[i : i + 1], Still())
        assert same(arrays(after), arrays(together, slice(i, i + 1 or None)))


def test_actions_are_clipped(task: Any) -> None:
    state, _, _ = begun(task)
    for sign in (-1.0, 1.0):
        force = np.full((COUNT, task.actions), sign)
        steps = [task.step(state, scale * force, np.random.default_rng(5)) for scale in (1.0, 7.0)]
        assert same(arrays(steps[0]), arrays(steps[1]))


def test_the_same_number_of_draws_whatever_the_action(task: Any) -> None:
    state, _, mode = begun(task)
    randoms = [np.random.default_rng(6) for _ in range(2)]
    task.step(state, task.expert(state, mode), randoms[0])
    task.step(played(task, 0.3, task.ticks), np.ones((COUNT, task.actions)), randoms[1])
    assert randoms[0].random() == randoms[1].random()


def test_the_expert_succeeds_with_and_without_exploration(task: Any) -> None:
    assert task.success(played(task, 0.0, task.ticks, count=128)).mean() >= 0.93
    assert task.success(played(task, 0.3, task.ticks, count=128)).mean() >= 0.88


def test_every_mode_is_another_way(task: Any) -> None:
    state = task.begin(Still(), 2) if task.name != "catch" else task.begin(np.random.default_rng(1), 2)
    state = replace(state, **{f.name: getattr(state, f.name)[[0, 0]] for f in fields(state) if f.name != "tick"})
    mode = np.arange(2)
    for _ in range(5):
        state = task.step(state, task.expert(state, mode), Still())
    assert np.abs(np.diff(task.observe(state)[:, : OWN[task.name]], axis=0)).max() > 0.2


@pytest.mark.parametrize("force", [0.0, 0.5])
def test_neither_no_force_nor_a_constant_one_is_a_refuge(task: Any, force: float) -> None:
    state, random, _ = begun(task)
    for _ in range(task.ticks):
        state = task.step(state, np.full((COUNT, task.actions), force), random)
    assert task.success(state).mean() < 0.35


def test_the_last_force_is_no_refuge(task: Any) -> None:
    state, random, mode = begun(task)
    for tick in range(task.ticks):
        if tick <= task.ticks // 2:
            action = task.expert(state, mode)
        state = task.step(state, action, random)
    assert task.success(state).mean() < 0.5


def test_rolling_forward_is_a_step_without_noise(task: Any) -> None:
    own = OWN[task.name]
    state, mode = played(task, 0.3, 20), np.arange(COUNT) % task.modes
    state = replace(state, **{name: np.zeros_like(getattr(state, name)) for name in WINDS[task.name]})
    seen, rows = task.observe(state), []
    for _ in range(4):
        rows.append(task.expert(state, mode).astype(np.float32))
        state = task.step(state, rows[-1].astype(np.float64), Still())
    rolled = task.roll_forward(seen, np.stack(rows, axis=1))
    assert rolled.dtype == np.float32
    assert np.array_equal(rolled[:, own:], seen[:, own:])
    error = np.abs(rolled[:, :own] - task.observe(state)[:, :own])
    moved = np.abs(seen[:, :own] - task.observe(state)[:, :own])
    # The twin's arm is a sliding mass only to its task's simple model.
    bound = 0.5 * moved.mean() if task.name == "intercept" else 1e-4
    assert error.mean() < bound


def test_rolling_forward_by_nothing_changes_nothing(task: Any) -> None:
    seen = task.observe(played(task, 0.3, 10))
    rolled = task.roll_forward(seen, np.zeros((COUNT, 0, task.actions), np.float32))
    np.testing.assert_allclose(rolled, seen, atol=1e-5)


def test_rolling_forward_clips(task: Any) -> None:
    seen = task.observe(played(task, 0.3, 10))
    rows = np.full((COUNT, 2, task.actions), 9.0, np.float32)
    np.testing.assert_array_equal(task.roll_forward(seen, rows), task.roll_forward(seen, rows / 9.0))


def test_going_on_after_the_end(task: Any) -> None:
    state = played(task, 0.3, task.ticks + 16)
    assert all(np.isfinite(value).all() for value in arrays(state))


def test_the_twin_says_so_where_there_is_no_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    for module in ("benchmarks.async_control.tasks.intercept_twin", "embodiments.sim.mujoco_import"):
        monkeypatch.delitem(sys.modules, f"unichunk.{module}", raising=False)
    with pytest.raises(EmbodimentError, match=r"unichunk\[sim\]"):
        TASKS["intercept"]()


def test_a_pendulum_that_fell_starts_over() -> None:
    task = TASKS["swing_up"]()
    state = replace(task.begin(Still(), 3), upright=np.full(3, 99.0), angle=np.array([0.0, 0.5, np.pi]))
    assert task.success(state).all()
    state = task.step(state, np.zeros((3, 1)), Still())
    assert task.success(state).tolist() == [True, False, False]


def test_a_landing_must_be_on_a_pad_slow_and_upright() -> None:
    task = TASKS["land"]()
    good = np.array([1.2, 0.0, 0.1, -0.5, 0.1, 0.1])
    spoiled = [good, good * [-1, 1, 1, 1, 1, 1]]
    spoiled += [
        np.where(np.arange(6) == i, value, good) for i, value in ((0, 0.5), (2, 1.5), (3, -1.5), (4, 0.6), (5, 3.0))
    ]
    state = replace(task.begin(Still(), 7), body=np.array(spoiled), down=np.ones(7, bool))
    assert task.success(state).tolist() == [True, True, False, False, False, False, False]
    assert not task.success(replace(state, down=np.zeros(7, bool))).any()
    assert np.array_equal(task.step(state, np.ones((7, 2)), Still()).body, state.body)


def test_both_targets_for_a_while_each_are_not_one_to_the_end() -> None:
    task = TASKS["intercept"]()
    state = replace(task.begin(Still(), 3), over=np.array([[9.0, 9.0], [0.0, 30.0], [10.0, 0.0]]))
    assert task.success(state).tolist() == [False, True, True]
