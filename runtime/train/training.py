"""The training loop: a given number of minutes, then the averaged weights."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import copy
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import nn

from unichunk.runtime.train.losses import GoalHeads, losses
from unichunk.runtime.train.slots import silence_other_slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from unichunk.runtime.train.batches import BatchSampler
    from unichunk.runtime.train.being_h import BeingH
    from unichunk.runtime.train.losses import Losses
    from unichunk.runtime.train.settings import TrainingSettings


def train(
    policy: BeingH,
    samplers: Sequence[BatchSampler],
    settings: TrainingSettings,
    report: Callable[[str], None],
    keep: Callable[[BeingH], None] | None = None,
) -> tuple[BeingH, int]:
    """Train a policy in place.

    Each step takes one batch from each sampler, in a thread of its own, and the mean of their gradients: threads that
    meet once a step share a busy machine better than threads that meet in every operator. So PyTorch's own threads are
    turned off.

    Args:
        policy: The policy; what does not require gradients stays as it is.
        samplers: Sources of batches of the same robots.
        settings: How to train.
        report: Called with a line of progress now and then.
        keep: Called with the averaged policy now and then, so that a run that is stopped leaves something.

    Returns:
        A copy with averaged weights and the number of steps taken.
    """
    torch.set_num_threads(1)
    names, slots = samplers[0].names, samplers[0].slots
    silence_other_slots(policy, slots)
    goals = GoalHeads(policy, [places.shape[1:].numel() for places in samplers[0].batch().places])
    parameters = [one for one in (*policy.parameters(), *goals.parameters()) if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=1e-4, betas=(0.9, 0.98))
    averaged = copy.deepcopy(policy).requires_grad_(requires_grad=False)
    begin = reported = kept = time.monotonic()
    step, sums = 0, Sums(names)

    def work(sampler: BatchSampler) -> tuple[Losses, tuple[Tensor | None, ...]]:
        batch = sampler.batch()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.half):
            found = losses(policy, goals, batch, slots, settings)
        whole = found.flow.mean() + settings.other_weight * found.other.mean() + settings.goal_weight * found.goal
        whole = whole + settings.imbalance_weight * found.imbalance
        return found, torch.autograd.grad(whole, parameters, allow_unused=True)

    with ThreadPoolExecutor(len(samplers)) as workers:
        while (spent := _spent(settings, time.monotonic() - begin, step)) < 1.0:
            for group in optimizer.param_groups:
                warm = min(1.0, (step + 1) / settings.warm_up_steps)
                group["lr"] = settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * spent))
            done = list(workers.map(work, samplers))
            _set_gradients(parameters, [gradients for _, gradients in done])
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            _average(averaged, policy, min(settings.average, step / (step + 10.0)))
            for (found, _), sampler in zip(done, samplers, strict=True):
                sums.add(found, sampler.counts)
            if time.monotonic() - reported > settings.report_every_s:
                report(f"training: {100 * spent:3.0f} %, step {step}, {sums.line()}")
                reported, sums = time.monotonic(), Sums(names)
            if keep is not None and time.monotonic() - kept > settings.keep_every_s:
                keep(averaged)
                kept = time.monotonic()
    return averaged.eval(), step


class Sums:
    """Mean losses since the last report.

    Args:
        names: The robots.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._flow = torch.zeros(len(names))
        self._rest = torch.zeros(2)
        self._steps = 0

    def add(self, found: Losses, counts: Sequence[int]) -> None:
        """Take in a step's losses; `counts` are the observations of each robot."""
        draws = len(found.flow) // sum(counts)
        parts = found.flow.detach().split([draws * count for count in counts])
        self._flow += torch.stack([part.mean() for part in parts])
        self._rest += torch.stack([found.other.detach().mean(), found.goal.detach()])
        self._steps += 1

    def line(self) -> str:
        """For the log."""
        flow = ", ".join(
            f"{name} {value:.4f}" for name, value in zip(self._names, (self._flow / self._steps).tolist(), strict=True)
        )
        other, goal = (self._rest / self._steps).tolist()
        return f"flow loss {flow}, other slots {other:.5f}, goal loss {goal:.4f}"


def _spent(settings: TrainingSettings, seconds: float, steps: int) -> float:
    """Share of the budget that is used up."""
    by_steps = 0.0 if settings.most_steps is None else steps / settings.most_steps
    return max(seconds / (60.0 * settings.minutes), by_steps)


def _set_gradients(parameters: Sequence[nn.Parameter], parts: Sequence[tuple[Tensor | None, ...]]) -> None:
    """The mean of the workers' gradients; parameters that nothing depends on get none."""
    for parameter, *gradients in zip(parameters, *parts, strict=True):
        known = [gradient for gradient in gradients if gradient is not None]
        parameter.grad = torch.stack(known).mean(dim=0) if known else None


def _average(averaged: BeingH, policy: BeingH, decay: float) -> None:
    with torch.no_grad():
        for kept, new in zip(averaged.parameters(), policy.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)
