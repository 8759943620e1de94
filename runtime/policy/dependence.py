"""Whether the rows that follow a locked prefix still depend on what the policy sees.

The trap of training with delays: where the recorded actions are clean, a prefix tells what the demonstrator saw later.
A policy then learns to go on from its prefix and to look past its pictures, and on a robot, where the prefix comes from
an older chunk of its own that knew no more, its errors feed themselves. The symptom is measured, not the cause: show
the policy the pictures and the instruction of another moment, and see by how much its rows change with the prefix
locked, against how much they change without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.policy.noise import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from unichunk.runtime.policy.policy import Policy
    from unichunk.runtime.recorded_observations import RecordedObservation

HARDLY: Final = 0.6
"""A ratio below this is the symptom. Over 32 moments of `unichunk bench dependence`, a policy in the trap has 0.2 to
0.5 (with a single locked row 0.5 to 0.8, and is found in one run of three); policies that look have 0.7 to 4."""

FEWEST: Final = 8
"""Moments with a locked prefix that are needed to say anything."""

LEAST_CHANGE: Final = 0.02
"""Where pictures of other moments change the rows by less than this even without a prefix (root mean square, in
normalized units), there was nothing to react to."""


@dataclass(frozen=True)
class Dependence:
    """How much the rows after a prefix depend on what is seen.

    Attributes:
        moments: Moments with a locked prefix that were looked at.
        locked: By how much the rows after the prefix change with what is seen, root mean square, normalized.
        alone: The same without a prefix.
    """

    moments: int
    locked: float
    alone: float

    @property
    def ratio(self) -> float | None:
        """The first over the second: 1 and more where a policy looks, near 0 where it only goes on from its prefix.

        None where there was nothing to react to, or too few moments.
        """
        if self.moments < FEWEST or self.alone < LEAST_CHANGE:
            return None
        return self.locked / self.alone

    @property
    def hardly(self) -> bool:
        """Whether the rows hardly depend on what is seen."""
        return self.ratio is not None and self.ratio < HARDLY


def dependence(predict: Callable[[int, int, bool], NDArray[np.float32]], delays: Sequence[int]) -> Dependence:
    """Measure it over the moments of a run.

    The rows of a moment are predicted four times from the same noise: with its own pictures and with those of the
    moment half a run away, with its prefix locked and without. Own state and prefix stay those of the moment. Without a
    prefix, a reaction may grow along the chunk (positions that go somewhere) or fade (forces that are soon corrected),
    so its change is taken over the rows of the same ticks, or over those as far from where the chunk is free, whichever
    is less: neither kind of policy is then blamed.

    Args:
        predict: Moment whose state and prefix are told, moment whose pictures are shown, whether the prefix is locked
            -> the robot's own values of all rows, shape (T, n), normalized.
        delays: d of each moment; those with d = 0 have no prefix and are left out.
    """
    locked, same, aligned, count = 0.0, 0.0, 0.0, 0
    moments = [moment for moment, delay in enumerate(delays) if delay > 0]
    for place, moment in enumerate(moments):
        other, delay = moments[(place + len(moments) // 2) % len(moments)], delays[moment]
        with_prefix, without = (
            np.square(predict(moment, other, lock) - predict(moment, moment, lock)).astype(np.float64)
            for lock in (True, False)
        )
        locked += with_prefix[delay:].sum()
        same += without[delay:].sum()
        aligned += without[: len(without) - delay].sum()
        count += with_prefix[delay:].size
    if not count:
        return Dependence(len(moments), 0.0, 0.0)
    return Dependence(len(moments), float(np.sqrt(locked / count)), float(np.sqrt(min(same, aligned) / count)))


def policy_dependence(policy: Policy, questions: Sequence[RecordedObservation], seed: int = 0) -> Dependence:
    """Measure it with what a policy was asked on a run: four inferences for each question with a locked prefix.

    Args:
        policy: One whose sampler locks; while no robot moves with it.
        questions: What it was asked.
        seed: Of the noise.

    Raises:
        ObservationError: The questions were not asked of a policy with these keys.
    """
    own = [slot for key in policy.robot.action.values() for slot in range(*key.slots)]
    shape = (1 + policy.refinement_rounds, policy.chunk_length, policy.manifest.unified_width)
    noise = generator(seed).standard_normal(shape, np.float32)

    def predict(moment: int, seen: int, lock: bool) -> NDArray[np.float32]:  # noqa: FBT001  see `dependence`
        question = questions[moment]
        shown = {**question.observation, **_seen(questions[seen].observation)}
        previous, delay = (question.previous_chunk, question.delay) if lock else (None, 0)
        return policy.infer(shown, previous, delay, noise).unified[:, own]

    return dependence(predict, [question.delay for question in questions])


def _seen(observation: Mapping[str, Any]) -> dict[str, Any]:
    """What is not the robot's own state."""
    return {name: value for name, value in observation.items() if not name.startswith("state.")}
