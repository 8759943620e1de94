"""What the form of a key asks of its other fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from unichunk.runtime.policy.manifest import BASE_FRAME
from unichunk.runtime.policy.rotation import rotation_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unichunk.runtime.policy.manifest import KeyForm, RotationInput

HAND_WIDTHS: Final[dict[KeyForm, int]] = {"human_joints": 45, "fingertips": 15}
"""Values of a hand: three for each of 15 joints, or of five fingertips."""

POSITION_WIDTH: Final = 3


class FormedKey(Protocol):
    """A key of a manifest or of a data configuration."""

    @property
    def form(self) -> KeyForm:
        """What its values are."""
        ...

    @property
    def frame(self) -> str:
        """Along whose axes they are."""
        ...

    @property
    def rotation(self) -> RotationInput | None:
        """Form of a rotation."""
        ...

    @property
    def width(self) -> int:
        """Number of slots."""
        ...


def form_complaints(label: str, section: str, key: FormedKey, cameras: Sequence[str]) -> Iterator[str]:
    """What does not go with a key's form, one line each.

    Args:
        label: What to call the key.
        section: `state` or `action`.
        key: The key.
        cameras: Cameras of its robot, as the policy calls them.
    """
    form, width = key.form, key.width
    if form in HAND_WIDTHS and width != HAND_WIDTHS[form]:
        yield f"{label}: form {form!r} has {HAND_WIDTHS[form]} values, its slots are {width}"
    if form == "pose":
        turn = rotation_width(key.rotation or "axis_angle")
        if section != "action":
            yield f"{label}: form 'pose' is for actions; a state in end-effector slots is where it is in any case"
        if width not in {POSITION_WIDTH, turn, POSITION_WIDTH + turn}:
            expected = f"{POSITION_WIDTH} (position), {turn} (rotation as {key.rotation or 'axis_angle'}) or both"
            yield f"{label}: form 'pose' fills {expected} slots, it has {width}"
    if key.frame != BASE_FRAME:
        if section != "action" or form in HAND_WIDTHS:
            yield f"{label}: frame {key.frame!r} is for actions of an end effector, expected {BASE_FRAME!r}"
        if key.frame not in cameras:
            yield f"{label}: frame {key.frame!r} is no camera of this robot, expected {BASE_FRAME} or {_all(cameras)}"


def _all(cameras: Sequence[str]) -> str:
    return ", ".join(cameras)
