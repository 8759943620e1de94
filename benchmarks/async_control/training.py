"""Training a flow policy from demonstrations: with or without delays, with or without the state rolled forward."""

from __future__ import annotations

import enum
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.async_control.adam import Adam
from unichunk.benchmarks.async_control.demonstrations import EXPLORATION, Demonstrations, demonstrate
from unichunk.benchmarks.async_control.flow import FlowPolicy
from unichunk.benchmarks.async_control.network import Network
from unichunk.runtime.train.delays import DelayDistribution

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.network import Array
    from unichunk.benchmarks.async_control.task import Task

WEAK_SHARE: Final = 0.1
"""After which share of the steps the weak policy of bidirectional decoding is set aside."""


class Variant(enum.Enum):
    """What a policy was trained for."""

    PLAIN = "plain"
    """No prefix."""
    DELAYS = "delays"
    """A clean prefix of random length at time 1; the loss is on the rows after it."""
    ROLLFORWARD = "delays_rollforward"
    """The same, and the policy sees the observation twice: as it is, and with its own state rolled forward."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a policy comes out.

    Attributes:
        episodes: Episodes demonstrated.
        exploration: Standard deviation of the noise on the expert's actions.
        prefix_noise: Standard deviation of noise on the locked rows of a training sample only.
        steps: Gradient steps.
        batch: Samples a step.
        width: Of the three hidden layers.
        rate: Peak learning rate; it rises over the first steps and falls along a cosine.
        memory: Of the moving average of the weights.
        seed: Of everything random.
    """

    episodes: int = 8192
    exploration: float = EXPLORATION
    prefix_noise: float = 0.0
    steps: int = 12000
    batch: int = 256
    width: int = 256
    rate: float = 3e-3
    memory: float = 0.998
    seed: int = 0

    def of(self, variant: Variant) -> Recipe:
        """What of it matters to a variant: without a prefix there is no noise on it."""
        return replace(self, prefix_noise=0.0) if variant is Variant.PLAIN else self


@dataclass(frozen=True)
class Trained:
    """A policy, its weak sibling and how it came about.

    Attributes:
        policy: The moving average of the weights at the end.
        weak: The same early in the same training.
        record: What belongs into the report.
    """

    policy: FlowPolicy
    weak: FlowPolicy
    record: dict[str, Any]


def delays_trained(action_hz: int, chunk_length: int) -> DelayDistribution:
    """The runtime's own distribution of delays in training, up to half a chunk."""
    return DelayDistribution(action_hz, max_delay=chunk_length // 2)


def train(task: Task[Any], chunk_length: int, variant: Variant, recipe: Recipe) -> Trained:
    """Record demonstrations and train a policy on them."""
    begun = time.monotonic()
    # Streams of their own: all variants learn from the same demonstrations, in the same order.
    recorded, initial, random = (np.random.default_rng([recipe.seed, chunk_length, part]) for part in range(3))
    data = demonstrate(task, chunk_length, recipe.episodes, recorded, recipe.exploration)
    samples = Samples(task, data, variant, recipe, chunk_length)
    widths = [chunk_length * (task.actions + 1) + len(samples.mean), *[recipe.width] * 3, chunk_length * task.actions]
    network = Network.random(widths, initial)
    policy = FlowPolicy(network, samples.mean, samples.scale, chunk_length, task.actions)
    adam = Adam(network.parameters, recipe.rate, recipe.steps, recipe.memory)
    weak = network
    losses = np.zeros(recipe.steps)
    for step in range(recipe.steps):
        losses[step], gradients = loss(policy, *samples.draw(random))
        adam.step(gradients)
        if step == int(WEAK_SHARE * recipe.steps):
            weak = adam.averaged()
    record = {
        "task": task.name,
        "chunk": chunk_length,
        "variant": variant.value,
        **asdict(recipe),
        "demonstrations_success": round(data.success, 4),
        "demonstrations_kept": data.episodes,
        "loss": round(float(losses[-max(1, recipe.steps // 20) :].mean()), 5),
        "seconds": round(time.monotonic() - begun, 1),
    }
    shape = (samples.mean, samples.scale, chunk_length, task.actions)
    return Trained(FlowPolicy(adam.averaged(), *shape), FlowPolicy(weak, *shape), record)


class Samples:
    """Training samples of a variant.

    Attributes:
        mean: Of the observations, shape (observations,).
        scale: Their standard deviation, shape (observations,).
    """

    def __init__(
        self, task: Task[Any], data: Demonstrations, variant: Variant, recipe: Recipe, chunk_length: int
    ) -> None:
        self._data = data
        self._recipe = recipe
        self._delays = None if variant is Variant.PLAIN else delays_trained(task.action_hz, chunk_length)
        self._rolled: list[Array] = []
        if variant is Variant.ROLLFORWARD:
            prefixes = (data.chunks[:, :delay] for delay in range(chunk_length // 2 + 1))
            self._rolled = [task.roll_forward(data.observations, prefix) for prefix in prefixes]
        copies = 2 if self._rolled else 1
        self.mean: Array = np.tile(data.observations.mean(axis=0), copies)
        self.scale: Array = np.tile(data.observations.std(axis=0) + np.float32(1e-3), copies)

    def draw(self, random: np.random.Generator) -> tuple[Array, Array, Array, Array]:
        """Observations (B, observations), chunks and noise (B, T, actions) and times (B, T) of one batch.

        Rows at time 1 are a prefix: given, not learned.
        """
        count = self._recipe.batch
        drawn = random.integers(len(self._data.chunks), size=count)
        chunks = self._data.chunks[drawn]
        noise = random.standard_normal(chunks.shape, dtype=np.float32)
        times = np.broadcast_to(random.random((count, 1), dtype=np.float32), chunks.shape[:2]).copy()
        delays: NDArray[np.int64] = np.zeros(count, np.int64)
        if self._delays is not None:
            delays = self._delays.sample(random, count)
            locked = np.arange(chunks.shape[1]) < delays[:, None]
            times[locked] = 1.0
            if self._recipe.prefix_noise:
                blurred = chunks + np.float32(self._recipe.prefix_noise) * random.standard_normal(
                    chunks.shape, dtype=np.float32
                )
                chunks = np.where(locked[..., None], np.clip(blurred, -1.0, 1.0), chunks)
        return self._seen(drawn, delays), chunks, noise, times

    def _seen(self, drawn: NDArray[np.int64], delays: NDArray[np.int64]) -> Array:
        seen = self._data.observations[drawn]
        if not self._rolled:
            return seen
        rolled = np.empty_like(seen)
        for delay, observations in enumerate(self._rolled):
            rolled[delays == delay] = observations[drawn[delays == delay]]
        return np.concatenate([seen, rolled], axis=1)


def loss(
    policy: FlowPolicy, observations: Array, chunks: Array, noise: Array, times: Array
) -> tuple[float, list[Array]]:
    """Mean squared error of the velocity over the rows that are not locked, and its derivatives by the parameters."""
    weight = times[..., None]
    points = weight * chunks + (1.0 - weight) * noise
    velocity, trace = policy.network.trace(policy.inputs(points, policy.scaled(observations), times))
    free = np.broadcast_to(weight < 1.0, chunks.shape)
    error = np.where(free, velocity.reshape(chunks.shape) - (chunks - noise), np.float32(0.0))
    count = np.float32(max(1, int(free.sum())))
    gradient = (2.0 / count) * error.reshape(len(error), -1)
    return float(np.square(error).sum() / count), policy.network.parameter_gradients(trace, gradient)
