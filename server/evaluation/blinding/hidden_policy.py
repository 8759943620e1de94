"""What the proxy needs of a policy that drives a robot, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from unichunk.server.evaluation.blinding.trial_rows import RowSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.observation import Observation
    from unichunk.runtime.producer import Commitment

WARM_UPS: Final = 2
"""Inferences before the first one counts."""


@dataclass(frozen=True)
class Seen:
    """What a policy decides on.

    Attributes:
        observation: Pictures and joints.
        instruction: What the robot shall do.
        tick: Of the observation.
        trial_seed: Drawn anew for every trial.
        others: Further fields of the robot's request.
    """

    observation: Observation
    instruction: str
    tick: int
    trial_seed: int
    others: Mapping[str, Any]


@dataclass(frozen=True)
class Predicted:
    """A chunk as it came, unchecked.

    Attributes:
        unified: Rows as the policy's own, shape (T, width); the committed ones first.
        joints: The same as joint targets, shape (T, n), [rad].
        cold: Whether it took longer than the next one will.
    """

    unified: NDArray[np.float32]
    joints: NDArray[np.float64]
    cold: bool = False


class HiddenPolicy(RowSpace, Protocol):
    """A policy for one robot, connected and warm. One call at a time, from any thread."""

    @property
    def expected_s(self) -> float:
        """What an inference takes, as far as is known, [s]."""
        ...

    def predict(self, seen: Seen, commitment: Commitment) -> Predicted:
        """Predict a chunk that goes on from what is committed.

        Raises:
            PolicyLate: Where there was no answer in time.
            UnichunkError: Where it failed.
        """
        ...

    def close(self) -> None:
        """Hang up; again does nothing."""
        ...


class Host(Protocol):
    """Where a policy runs. Its methods block, and may be called from any thread."""

    @property
    def number(self) -> int:
        """The policy's, in the plan's order."""
        ...

    @property
    def name(self) -> str:
        """The policy's, for whoever runs the server."""
        ...

    def connect(self, first: Seen, seed: int) -> HiddenPolicy:
        """The policy for one robot, warm; its process is started where it does not run.

        Args:
            first: What to warm it up with.
            seed: Of its noise.

        Raises:
            UnichunkError: Where it does not answer, or does not drive this robot.
        """
        ...

    def end_process(self) -> None:
        """End its process, where that is ours, whatever it is doing."""
        ...
