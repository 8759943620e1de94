"""A small world and small policies for the tests of asynchronous control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.benchmarks.async_control.flow import FlowPolicy
from unichunk.benchmarks.async_control.methods import Method
from unichunk.benchmarks.async_control.network import Network
from unichunk.benchmarks.async_control.task import Task
from unichunk.benchmarks.async_control.training import Trained, Variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.methods import Request


@dataclass(frozen=True)
class Line:
    """Positions, shape (B, 2), after some ticks."""

    place: NDArray[np.float64]
    tick: int


class Walk(Task[Line]):
    """Points pushed about on a plane; success is to end on the right."""

    name = "walk"
    action_hz = 20
    ticks = 24
    actions = 2
    observations = 3
    modes = 2
    version = 1

    def begin(self, random: np.random.Generator, count: int) -> Line:
        return Line(random.normal(size=(count, 2)), 0)

    def observe(self, state: Line) -> NDArray[np.float32]:
        tick = np.full((len(state.place), 1), state.tick)
        return np.concatenate([state.place, tick], axis=1).astype(np.float32)

    def step(self, state: Line, action: NDArray[np.float64], random: np.random.Generator) -> Line:
        return Line(state.place + 0.1 * action + 0.05 * random.standard_normal(action.shape), state.tick + 1)

    def expert(self, state: Line, mode: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([np.ones(len(mode)), 2.0 * mode - 1.0], axis=1) - 0.2 * state.place

    def success(self, state: Line) -> NDArray[np.bool_]:
        return np.asarray(state.place[:, 0] > 0.0)

    def roll_forward(self, observation: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        rolled = observation.copy()
        rolled[:, :2] += 0.1 * rows.sum(axis=1)
        return rolled


def random_policy(seed: int, chunk: int, actions: int = 2, seen: int = 3, dtype: type = np.float32) -> FlowPolicy:
    """Weights large enough that everything depends on everything."""
    random = np.random.default_rng(seed)
    network = Network.random([chunk * (actions + 1) + seen, 16, 16, 16, chunk * actions], random)
    for values in network.parameters:
        np.add(values, 0.2 * random.standard_normal(values.shape).astype(np.float32), out=values)
    network = Network([w.astype(dtype) for w in network.weights], [b.astype(dtype) for b in network.biases])
    return FlowPolicy(network, np.zeros(seen, dtype), np.ones(seen, dtype), chunk, actions)


def random_trained(seed: int, chunk: int, task: Task[Any] | None = None, *, rolled: bool = False) -> Trained:
    task = Walk() if task is None else task
    shape = (chunk, task.actions, task.observations * (2 if rolled else 1))
    return Trained(random_policy(seed, *shape), random_policy(seed + 1, *shape), {})


class Counting:
    """Answers chunks whose rows tell which chunk and which row they are: number + row / 100; keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, task: Task[Line], trained: Trained, request: Request, random: np.random.Generator):
        rows = len(self.requests) + np.arange(trained.policy.chunk_length, dtype=np.float32) / 100
        self.requests.append(request)
        shape = (len(request.observations), len(rows), task.actions)
        return np.broadcast_to(rows[None, :, None], shape).copy()

    def method(self, **settings: bool) -> Method:
        return Method(Variant.PLAIN, self, **settings)
