"""A task of the asynchronous control benchmark: a small world that is lost by doing nothing, many episodes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

State = TypeVar("State")


class Task(Protocol[State]):
    """A force-controlled task without a safe hold, with an expert that has several ways of doing it.

    B episodes run side by side; arrays have the leading axis B. A state is opaque to everybody but its task: a
    dataclass of float64 arrays, never changed in place.

    Attributes:
        name: What it is called on the command line.
        action_hz: Ticks a second.
        ticks: Length of an episode.
        actions: Width of an action; actions are forces, clipped by the task to [-1, 1].
        observations: Width of an observation, of about unit scale.
        modes: Ways the expert has of doing it, at least 2.
        version: Raised with every change of the task's behaviour, so that policies are trained anew.
    """

    name: str
    action_hz: int
    ticks: int
    actions: int
    observations: int
    modes: int
    version: int

    def begin(self, random: np.random.Generator, count: int) -> State:
        """Start `count` episodes."""
        ...

    def observe(self, state: State) -> NDArray[np.float32]:
        """What the policy sees, shape (B, observations)."""
        ...

    def step(self, state: State, action: NDArray[np.float64], random: np.random.Generator) -> State:
        """One tick on: a new state.

        Args:
            state: Now.
            action: Forces, shape (B, actions).
            random: Draws action noise and disturbances: always the same number of draws, whatever the action.
        """
        ...

    def expert(self, state: State, mode: NDArray[np.int64]) -> NDArray[np.float64]:
        """The expert's action without noise, shape (B, actions), in [-1, 1].

        Args:
            state: Now.
            mode: Which way, shape (B,), in 0 ... modes - 1; drawn once an episode.
        """
        ...

    def success(self, state: State) -> NDArray[np.bool_]:
        """Whether each finished episode succeeded, shape (B,)."""
        ...

    def roll_forward(self, observation: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The observation with the robot's own state as it will be after some rows, by the model without noise.

        What the robot cannot know ahead of time (balls, wind, targets) stays as it was seen.

        Args:
            observation: As `observe` gave it, shape (B, observations).
            rows: Actions that will be executed, shape (B, d, actions); d may be 0.
        """
        ...
