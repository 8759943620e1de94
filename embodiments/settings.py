"""From a spec to what the runtime needs to know of a robot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.embodiments.spec import RampFallback as RampSpec
from unichunk.runtime.fallback import Fallback, HoldFallback, RampFallback
from unichunk.runtime.robot import RobotSettings

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy


def robot_settings(spec: EmbodimentSpec, policy: ChunkPolicy, adapter: Adapter) -> RobotSettings:
    """The robot's constants, with a fallback whose rows are encoded as this policy's rows are."""
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


def _fallback(spec: EmbodimentSpec, policy: ChunkPolicy, adapter: Adapter) -> Fallback:
    if isinstance(spec.fallback, RampSpec):
        step = spec.limits.velocity * (spec.fallback.velocity_fraction / spec.action_hz)
        return RampFallback(spec.rest, step, lambda joints: policy.encode_actions(adapter.actions(joints)))
    return HoldFallback()
