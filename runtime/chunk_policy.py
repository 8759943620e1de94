"""What the runtime needs of a policy and of a robot's adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.observation import Observation
    from unichunk.runtime.policy.manifest import StateTime


class Chunk(Protocol):
    """A policy's answer."""

    @property
    def unified(self) -> NDArray[np.float32]:
        """Rows in the unified, normalized space, shape (T, 200)."""
        ...

    @property
    def actions(self) -> Mapping[str, NDArray[np.float32]]:
        """`action.<key>` -> values in physical units, shape (T, width)."""
        ...

    @property
    def gates(self) -> NDArray[np.float32] | None:
        """MPG's gates g, by refinement round and denoising step, shape (N, K); None without refinement."""
        ...

    @property
    def discrepancies(self) -> NDArray[np.float32] | None:
        """What closes them: the discrepancies D between rounds, shape (N, K); None without refinement."""
        ...

    @property
    def text(self) -> str | None:
        """What the policy wrote before it acted, in the same answer; None where it wrote nothing."""
        ...

    @property
    def cold(self) -> bool:
        """Whether it took longer than the next one will: its latency says nothing of the delay to come."""
        ...


class ChunkPolicy(Protocol):
    """A policy that predicts chunks and can be told what is already committed."""

    @property
    def chunk_length(self) -> int:
        """T, rows of a chunk."""
        ...

    @property
    def max_delay(self) -> int:
        """Longest locked prefix the policy was trained to continue, in rows."""
        ...

    @property
    def locks(self) -> bool:
        """Whether locked rows shape the rows after them; else those are predicted as if nothing was committed."""
        ...

    @property
    def state_time(self) -> StateTime:
        """Tick whose state it was trained to be told: the observation's, or the one at which its rows take over."""
        ...

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        """Predict a chunk whose rows before `delay` are those of `previous_chunk`.

        Args:
            observation: See `Adapter.policy_input`.
            previous_chunk: The running plan as far as it is there, shape (m, 200), delay <= m <= T; None where nothing
                is.
            delay: d, rows that are committed.
        """
        ...

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        """Place physical actions (m, width) in unified, normalized rows (m, 200)."""
        ...


class Adapter(Protocol):
    """Translates between a robot and the keys of a policy."""

    def policy_input(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """The policy's view of an observation: `video.<camera>`, `state.<key>`, `language.instruction`."""
        ...

    def joints(
        self, actions: Mapping[str, NDArray[np.float32]], before: NDArray[np.float64], delay: int = 0
    ) -> NDArray[np.float64]:
        """Joint commands of a whole chunk.

        End-effector actions are displacements from step to step in the fixed base frame, translation added and rotation
        from the left (`kinematics.displacement`); they accumulate from the forward kinematics of `before`, so a chunk
        goes on from what the robot was really told. To hold is a displacement of zero, never the row repeated.

        Args:
            actions: `action.<key>` -> values in physical units, shape (T, width).
            before: The joint row that runs right before row `delay`, shape (n,), [rad]: row `delay` - 1 of what is
                committed, for delay 0 the row of the tick before the observation's, or where the robot stands.
            delay: d, rows that are committed already and not executed again.

        Returns:
            Joint targets, shape (T, n), [rad], in command order. Rows before `delay` hold anything finite.
        """
        ...

    def actions(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The actions that command these rows after `before`: the inverse of `joints`.

        Args:
            joints: Joint targets, shape (m, n), [rad].
            before: The joint row that runs right before the first of them, shape (n,), [rad].

        Returns:
            `action.<key>` -> values in physical units, shape (m, width).
        """
        ...

    def statistics(self) -> dict[str, Any]:
        """What it counted while it translated, by name; for the report."""
        ...
