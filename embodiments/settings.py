"""From a spec to what the runtime needs to know of a robot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.spec import RampFallback as RampSpec
from unichunk.runtime.chunk_policy import Adapter
from unichunk.runtime.fallback import Fallback, HoldFallback, RampFallback
from unichunk.runtime.robot import RobotSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.chunk_policy import ChunkPolicy


class SlotAdapter(Adapter, Protocol):
    """An adapter that says which of its actions are displacements."""

    @property
    def displacement_slots(self) -> NDArray[np.int64]:
        """Their unified slots, shape (k,): zero there means stay."""
        ...

    @property
    def kinematic(self) -> bool:
        """Whether joint rows become actions by forward kinematics."""
        ...


def robot_settings(spec: EmbodimentSpec, policy: ChunkPolicy, adapter: SlotAdapter) -> RobotSettings:
    """The robot's constants, with a fallback whose rows are encoded as this policy's rows are.

    Raises:
        SpecError: Where the robot ramps without an action, and the policy's actions are in end-effector form: the
            control thread, which takes each row of a ramp, would wait for forward kinematics.
    """
    return RobotSettings(
        name=spec.name,
        action_hz=spec.action_hz,
        command_hz=spec.command_hz,
        limits=spec.limits,
        fallback=_fallback(spec, policy, adapter),
        watchdog_s=spec.watchdog_s,
        observation_max_age_s=spec.observation_max_age_s,
        frozen_camera_s=spec.frozen_camera_s,
        following_error=spec.following_error,
        following_error_s=spec.following_error_s,
        delay_margin_ticks=spec.delay_margin_ticks,
        minimum_postfix_ticks=spec.minimum_postfix_ticks,
    )


def _fallback(spec: EmbodimentSpec, policy: ChunkPolicy, adapter: SlotAdapter) -> Fallback:
    def encode(joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        return policy.encode_actions(adapter.actions(joints, before))

    if isinstance(spec.fallback, RampSpec):
        if adapter.kinematic:
            raise SpecError(
                f"embodiment.fallback.kind of {spec.name}: ramp does not go with a policy in end-effector form; choose "
                "hold, or a policy in joint form"
            )
        step = spec.limits.velocity * (spec.fallback.velocity_fraction / spec.action_hz)
        return RampFallback(spec.rest, step, encode)
    slots = adapter.displacement_slots
    return HoldFallback(slots, encode(spec.rest[None], spec.rest)[0, slots])
