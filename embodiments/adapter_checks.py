"""What a policy's entry for a robot must have to drive it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.embodiments.adapter_keys import REMEDY, FramePart, JointPart
from unichunk.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.embodiments.adapter_keys import BoundKey
    from unichunk.embodiments.spec import EmbodimentSpec, Side
    from unichunk.kinematics.inverse.goals import GoalKind
    from unichunk.runtime.policy.manifest import RobotEntry

MAY_STAND: Final = ("head", "waist")
"""Kinds of groups that stay where they are where a policy has no action for them."""


def check_rates_and_cameras(spec: EmbodimentSpec, robot: RobotEntry, origin: str) -> None:
    """Check that the robot has the cameras, and runs at the rate of the rows.

    Raises:
        BundleError: With what does not fit.
    """
    for camera in robot.cameras:
        if camera not in spec.cameras:
            raise BundleError(f"{origin}: needs camera {camera!r}, {spec.name} has {', '.join(spec.cameras)}; {REMEDY}")
    if robot.action_hz != spec.action_hz:
        raise BundleError(
            f"{origin}: its rows are {robot.action_hz} Hz, {spec.name} runs at {spec.action_hz} Hz; {REMEDY}"
        )


def check_actions(spec: EmbodimentSpec, action: Sequence[BoundKey], origin: str) -> None:
    """Check that everything that must be moved is moved, once.

    Args:
        spec: The robot.
        action: The policy's actions.
        origin: What to call the bundle in messages.

    Raises:
        BundleError: Where a group is moved by nothing, or by two actions.
    """
    kinds = goal_kinds(action)
    _check_one_way(spec, action, origin)
    moved_by: dict[str, str] = {}
    for key in action:
        for part in key.parts:
            if isinstance(part, FramePart) and part.side not in kinds:
                raise BundleError(
                    f"{origin}: {key.name} turns the {part.side} end effector of {spec.name}, and no action moves its "
                    f"position; {REMEDY}"
                )
            # Two arms that share a waist move it together: only joints and end effectors contradict each other.
            if isinstance(part, FramePart):
                groups: tuple[str, ...] = spec.end_effectors[part.side].groups
                how = "end effector"
            elif isinstance(part, JointPart):
                groups, how = (part.group,), key.name
            else:
                groups, how = part.groups, key.name
            for group in groups:
                other = moved_by.setdefault(group, how)
                if other != how or (isinstance(part, JointPart) and _count(action, group) > 1):
                    raise BundleError(
                        f"{origin}: {key.name} and another action both move {group} of {spec.name}; expected joints or "
                        f"the end effector, not both; {REMEDY}"
                    )
    still = [name for name, group in spec.groups.items() if name not in moved_by and group.kind not in MAY_STAND]
    if still:
        raise BundleError(f"{origin}: no action for {', '.join(still)} of {spec.name}; {REMEDY}")


def _check_one_way(spec: EmbodimentSpec, action: Sequence[BoundKey], origin: str) -> None:
    """Position and rotation of an end effector are told as displacement or as pose, in one frame."""
    ways: dict[Side, tuple[str, tuple[bool, str]]] = {}
    for key in action:
        for part in key.parts:
            if isinstance(part, FramePart):
                first, way = ways.setdefault(part.side, (key.name, (part.absolute, part.frame)))
                if way != (part.absolute, part.frame):
                    raise BundleError(
                        f"{origin}: {first} and {key.name} tell the {part.side} end effector of {spec.name} in two "
                        f"ways; expected the same form and the same frame of both; {REMEDY}"
                    )


def goal_kinds(action: Sequence[BoundKey]) -> dict[Side, GoalKind]:
    """By side, what the actions say of the end effector: its pose, or its position alone."""
    said = {(part.side, part.quantity) for key in action for part in key.parts if isinstance(part, FramePart)}
    return {
        side: "pose" if (side, "rotation") in said else "position" for side, quantity in said if quantity == "position"
    }


def _count(action: Sequence[BoundKey], group: str) -> int:
    return sum(isinstance(part, JointPart) and part.group == group for key in action for part in key.parts)
