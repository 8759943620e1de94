"""The noise schedule of a DDIM sampler, and its steps as two factors each.

The schedule is the squared cosine (Nichol, Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", equation
17), betas at most 0.999. A step is equation 12 of Song, Meng, Ermon 2021, "Denoising Diffusion Implicit Models", with
eta 0: x' = sqrt(b') (x - sqrt(1 - b) e) / sqrt(b) + sqrt(1 - b') e, with b the schedule's products and e the predicted
noise; so x' is a sum of x and e.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLEAN: Final = -1
"""Time of rows without noise: one before the first of the schedule, where the product is 1. Locked rows are at it."""

MOST_BETA: Final = 0.999


class DdimStep(NamedTuple):
    """One step: x' = `keep` x + `add` e.

    Attributes:
        time: Place in the schedule of the training.
        keep: Factor of the rows.
        add: Factor of the predicted noise.
    """

    time: int
    keep: float
    add: float


def signal_products(training_steps: int) -> NDArray[np.float64]:
    """Products of 1 - beta up to each time, shape (training_steps,): the share of variance that is still signal."""

    def share(time: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.cos((time + 0.008) / 1.008 * np.pi / 2) ** 2)

    begin = np.arange(training_steps) / training_steps
    betas = np.minimum(1 - share(begin + 1 / training_steps) / share(begin), MOST_BETA)
    return np.asarray(np.cumprod(1 - betas))


def ddim_steps(training_steps: int, steps: int) -> tuple[DdimStep, ...]:
    """Steps from noise to rows at times floor(k N / K), k = K - 1 ... 0; where K divides N, as published.

    Args:
        training_steps: N.
        steps: K, at most N.
    """
    products = signal_products(training_steps)
    times = [k * training_steps // steps for k in range(steps)]
    found = []
    for place, time in enumerate(times):
        now, then = products[time], products[times[place - 1]] if place else 1.0
        keep = np.sqrt(then / now)
        found.append(DdimStep(time, float(keep), float(np.sqrt(1 - then) - keep * np.sqrt(1 - now))))
    return tuple(reversed(found))
