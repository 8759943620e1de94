"""A policy that knows where the block is, and brings the gripper there if the trial's seed says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.runtime.errors import ObservationError
from unichunk.server.evaluation.demo.characters import CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.server.evaluation.demo.characters import Character, Draw

ROBOT: Final = "so101"

BESIDE: Final = 0.08
"""How far beside the block it aims, [m]: the task's `near` is 0.03."""

HALFWAY: Final = 0.5
"""Where it gives up: this share of the way in joint space."""


class ScriptedPolicy:
    """As policies are written for openpi's servers: an observation in, joint targets out, nothing kept in between.

    It plans from where the joints are, and from `block`, where the block is, which the simulated robot sends: what a
    real policy would see in the pictures.

    Args:
        character: What it is like.
    """

    def __init__(self, character: Character) -> None:
        spec = load_spec(ROBOT)
        self._character = character
        self._rest = spec.rest
        self._goals = goal_map(spec)
        self._expert = Expert(spec)
        self.example_observation: dict[str, Any] = {
            "state": spec.rest.astype(np.float32),
            "block": np.array([0.24, 0.0], np.float32),
            "trial_seed": 0,
        }
        self.metadata: dict[str, Any] = {"chunk": character.rows, "version": f"{character.number}.{character.rows}"}

    def infer(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Joint targets of the ticks from the observation's on.

        Args:
            observation: `state` (n,) [rad], `block` (2,) [m] over the table in the base, `trial_seed`.

        Returns:
            `actions`, shape (T, n), [rad].

        Raises:
            ObservationError: Where one of these is missing, in the words of this policy.
        """
        for key in ("state", "block", "trial_seed"):
            if key not in observation:
                raise ObservationError(self._character.complaint.format(key=key))
        time.sleep(self._character.latency_s)
        goal = self.goal(np.asarray(observation["block"], np.float64), int(observation["trial_seed"]))
        state = np.asarray(observation["state"], np.float64)
        rows = self._expert.continuation(state, goal, self._character.rows)
        return {"actions": rows.astype(np.float32)}

    def goal(self, block: NDArray[np.float64], trial_seed: int) -> NDArray[np.float64]:
        """Where it goes in a trial, shape (n,), [rad], for a block at (2,), [m]."""
        draw = self._character.draw(trial_seed)
        if draw.manner == "stands still":
            return self._rest
        if draw.manner == "aims beside":
            return self._goals.joints(self._beside(block, draw))
        goal = self._goals.joints(block)
        return goal if draw.succeeds else self._rest + HALFWAY * (goal - self._rest)

    def _beside(self, block: NDArray[np.float64], draw: Draw) -> NDArray[np.float64]:
        """A place beside the block that the arm can reach: 5 cm are left of it at the edge, in every layout."""
        task = self._goals.frames.task
        low, high = np.array([task.region_x, task.region_y]).T
        place: NDArray[np.float64] = block + BESIDE * np.array([np.cos(draw.direction), np.sin(draw.direction)])
        return np.clip(place, low, high)


def alder() -> ScriptedPolicy:
    """The policy of that name."""
    return ScriptedPolicy(CHARACTERS["alder"])


def birch() -> ScriptedPolicy:
    """The policy of that name."""
    return ScriptedPolicy(CHARACTERS["birch"])


def cedar() -> ScriptedPolicy:
    """The policy of that name."""
    return ScriptedPolicy(CHARACTERS["cedar"])
