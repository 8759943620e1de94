"""The methods: how each one makes a chunk of what it sees, of the running plan and of the rows that are committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from unichunk.benchmarks.async_control.bidirectional import CANDIDATES, choose
from unichunk.benchmarks.async_control.guidance import sample_guided, soft_mask
from unichunk.benchmarks.async_control.training import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.benchmarks.async_control.network import Array
    from unichunk.benchmarks.async_control.task import Task
    from unichunk.benchmarks.async_control.training import Trained

NEW_SHARE: Final = 0.7
"""Of the new chunk where it overlaps the old one: LeRobot's `weighted_average`, 0.3 old + 0.7 new."""


@dataclass(frozen=True)
class Request:
    """What an inference begins with.

    Attributes:
        observations: Of the tick t0, shape (B, observations).
        running: Rows of the running plan from t0 on, shape (B, T, actions); those past its end repeat the last one.
        overlap: How many of them are there.
        delay: d: rows that are committed; at most `overlap`.
    """

    observations: Array
    running: Array
    overlap: int
    delay: int


Answer: TypeAlias = "Callable[[Task[Any], Trained, Request, np.random.Generator], Array]"
"""Makes chunks, shape (B, T, actions)."""


@dataclass(frozen=True)
class Method:
    """A way of controlling.

    Attributes:
        variant: How its policy was trained.
        answer: What it makes of a request.
        waits: Whether the world stands still while it thinks.
        stalls: Whether it executes nothing while it thinks.
        locks: Whether it makes use of what is committed.
    """

    variant: Variant
    answer: Answer
    waits: bool = False
    stalls: bool = False
    locks: bool = False


def _plain(task: Task[Any], trained: Trained, request: Request, random: np.random.Generator) -> Array:
    del task
    policy = trained.policy
    return policy.sample(request.observations, policy.noise(random, len(request.observations)))


def _ensembled(task: Task[Any], trained: Trained, request: Request, random: np.random.Generator) -> Array:
    chunks = _plain(task, trained, request, random)
    old = request.running[:, : request.overlap]
    chunks[:, : request.overlap] += np.float32(1.0 - NEW_SHARE) * (old - chunks[:, : request.overlap])
    return chunks


def _bidirectional(task: Task[Any], trained: Trained, request: Request, random: np.random.Generator) -> Array:
    del task
    seen, count = request.observations, len(request.observations)
    strong, weak = (
        np.stack([policy.sample(seen, policy.noise(random, count)) for _ in range(CANDIDATES)])
        for policy in (trained.policy, trained.weak)
    )
    return choose(strong, weak, request.running[:, : request.overlap])


def _guided(task: Task[Any], trained: Trained, request: Request, random: np.random.Generator) -> Array:
    del task
    policy = trained.policy
    noise = policy.noise(random, len(request.observations))
    mask = soft_mask(policy.chunk_length, request.delay, request.overlap)
    return sample_guided(policy, request.observations, noise, request.running, mask)


def _locked(task: Task[Any], trained: Trained, request: Request, random: np.random.Generator) -> Array:
    del task
    policy = trained.policy
    noise = policy.noise(random, len(request.observations))
    return policy.sample(request.observations, noise, request.running[:, : request.delay])


def _rolled_forward(task: Task[Any], trained: Trained, request: Request, random: np.random.Generator) -> Array:
    prefix = request.running[:, : request.delay]
    noise = trained.policy.noise(random, len(prefix))
    ahead = task.roll_forward(request.observations, prefix)
    return trained.policy.sample(np.concatenate([request.observations, ahead], axis=1), noise, prefix)


METHODS: Final[dict[str, Method]] = {
    "oracle": Method(Variant.PLAIN, _plain, waits=True),
    "synchronous": Method(Variant.PLAIN, _plain, stalls=True),
    "naive": Method(Variant.PLAIN, _plain),
    "ensembling": Method(Variant.PLAIN, _ensembled),
    "bidirectional": Method(Variant.PLAIN, _bidirectional),
    "rtc": Method(Variant.PLAIN, _guided, locks=True),
    "uac_untrained": Method(Variant.PLAIN, _locked, locks=True),
    "uac": Method(Variant.DELAYS, _locked, locks=True),
    "uac_rollforward": Method(Variant.ROLLFORWARD, _rolled_forward, locks=True),
}
"""By name, in the order of the tables."""
