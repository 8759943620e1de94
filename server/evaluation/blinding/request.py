"""What a robot sends: an observation, checked before anything is done with it, the same whatever drives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.server.evaluation.errors import EvaluationError
from unichunk.server.serving.message_cost import is_dear
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

STATE: Final = "state"
IMAGE: Final = "image."
LARGEST_SIDE: Final = 4096
"""Of a picture, [px]."""

_OURS: Final = frozenset({STATE, "tick", "delay", "done", "lockstep", "prompt", "trial_seed"})
"""Fields that are not passed on as they are."""


class BadRequest(EvaluationError):
    """No observation of this robot. The robot is told a generic code only."""


@dataclass(frozen=True)
class RobotRequest:
    """One observation.

    Attributes:
        joints: Measured, shape (n,), finite, [rad], in command order.
        images: Camera name -> RGB, shape (H, W, 3), uint8; every camera of the spec.
        tick: The robot's action tick; None where it does not count them.
        delay: Rows of the answer that it will run whatever they say; None: all.
        done: Whether the robot says that the task is done.
        lockstep: Whether it asks that answers wait for policies.
        others: Further fields, for policies that know them.
    """

    joints: NDArray[np.float32]
    images: Mapping[str, NDArray[np.uint8]]
    tick: int | None = None
    delay: int | None = None
    done: bool = False
    lockstep: bool = False
    others: Mapping[str, Any] = field(default_factory=dict)


def read_request(message: bytes, spec: EmbodimentSpec) -> RobotRequest:
    """Read a message of openpi's wire.

    Args:
        message: Its bytes.
        spec: The embodiment.

    Raises:
        BadRequest: Where it is no observation of this robot; one line.
    """
    if is_dear(message):
        raise BadRequest("request: too many values")
    try:
        fields = unpack(message)
    except WireError as error:
        raise BadRequest(f"request: {error}") from None
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise BadRequest("request: expected a map with text keys")
    images = {name: _image(fields, name) for name in spec.cameras}
    ours = _OURS | {f"{IMAGE}{name}" for name in images}
    return RobotRequest(
        joints=_joints(fields, len(spec.joints)),
        images=images,
        tick=_whole(fields, "tick"),
        delay=_delay(fields),
        done=fields.get("done") is True,
        lockstep=fields.get("lockstep") is True,
        others={name: value for name, value in fields.items() if name not in ours},
    )


def _joints(fields: Mapping[str, Any], n: int) -> NDArray[np.float32]:
    value = fields.get(STATE)
    if not isinstance(value, np.ndarray) or value.shape != (n,) or value.dtype.kind != "f":
        raise BadRequest(f"state: expected {n} floating-point numbers, got {_said(value)}")
    with np.errstate(over="ignore"):
        joints = value.astype(np.float32)
    if not np.isfinite(joints).all():
        raise BadRequest("state: expected finite numbers")
    return joints


def _image(fields: Mapping[str, Any], camera: str) -> NDArray[np.uint8]:
    value = fields.get(f"{IMAGE}{camera}")
    if (
        not isinstance(value, np.ndarray)
        or value.dtype != np.uint8
        or value.ndim != 3
        or value.shape[2] != 3
        or not 0 < min(value.shape) <= max(value.shape) <= LARGEST_SIDE
    ):
        raise BadRequest(f"{IMAGE}{camera}: expected uint8 of shape (height, width, 3), got {_said(value)}")
    return value


def _whole(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    number: Any = value
    if isinstance(value, (np.integer, np.ndarray)) and value.shape == () and value.dtype.kind in "iu":
        number = int(value)
    if number is not None and type(number) is not int:
        raise BadRequest(f"{name}: expected a whole number, got {_said(value)}")
    whole: int | None = number
    return whole


def _delay(fields: Mapping[str, Any]) -> int | None:
    delay = _whole(fields, "delay")
    if delay is not None and delay < 0:
        raise BadRequest(f"delay: expected 0 or more rows, got {delay}")
    return delay


def _said(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return "nothing" if value is None else type(value).__name__
