"""What clients call the things that a policy calls its own way: a mapping, as data.

A mapping lists where a client's observation holds images, numbers and the instruction, and of what the columns of the
answer's `actions` consist. On the policy's side it names cameras by patterns, and numbers by slots of the unified space
or by the policy's own keys; `wire.client_keys` fits it to one robot of one bundle.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from unichunk.runtime.policy.manifest import RobotEntry, RotationInput
from unichunk.runtime.policy.rotation import rotation_width
from unichunk.server.wire.errors import MappingError

Path_ = Annotated[tuple[str, ...], Meta(min_length=1)]
"""Keys that lead to a value, from the outermost map to the innermost."""

Span = tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0)]]
"""Half-open."""

Protocol = Literal["openpi", "groot"]
"""Whose clients a mapping is for; clients of the other protocol use the policy's own keys."""


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Image(_Struct, frozen=True, kw_only=True):
    """One image of the client's observation, uint8 RGB.

    Attributes:
        at: Where it is.
        cameras: Patterns of the names of cameras that it may stand for, as file names have them (`*wrist*`); without
            any it stands for the next camera that no other image's patterns claim.
        layout: Order of its axes.
        wrist: On the robot's wrist; RoboArena's handshake counts these apart.
    """

    at: Path_
    cameras: tuple[str, ...] = ()
    layout: Literal["HWC", "CHW"] = "HWC"
    wrist: bool = False


class Part(_Struct, frozen=True, kw_only=True):
    """Numbers beside each other: in a vector of the observation, or in the columns of `actions`.

    The policy's value is `scale * client's + offset` in an observation, the client's is `scale * policy's + offset` in
    actions.

    Attributes:
        key: The policy's key without `state.` or `action.`; or else
        slots: Slots of the unified space, where the policy's keys of any name are found.
        columns: In the client's vector; None: all of it. Not in actions, whose columns follow each other.
        name: What a GR00T client calls this part of the actions, without `action.`.
        rotation: For slots of a rotation in an observation, the form in which the client gives it.
    """

    key: str = ""
    slots: Span | None = None
    columns: Span | None = None
    name: str = ""
    scale: float = 1.0
    offset: float = 0.0
    rotation: RotationInput = "axis_angle"


class Vector(_Struct, frozen=True, kw_only=True):
    """One vector of numbers in the client's observation.

    Attributes:
        at: Where it is.
        width: How many numbers.
        parts: What they are.
    """

    at: Path_
    width: Annotated[int, Meta(gt=0)]
    parts: tuple[Part, ...]


class RoboArena(_Struct, frozen=True, kw_only=True):
    """What RoboArena's handshake says beside which cameras are needed.

    Attributes:
        image_resolution: Height and width to which clients shall resize images, [px]; None: as they are.
        action_space: Of `actions`.
        alone: The handshake says nothing but RoboArena's six fields, since its clients take no others.
    """

    image_resolution: tuple[int, int] | None
    action_space: str
    alone: bool = False


class Mapping(_Struct, frozen=True, kw_only=True):
    """One mapping.

    Attributes:
        name: Its own.
        description: For people.
        protocol: Whose clients it is for.
        image_shape: Height and width of the images of an example, [px].
        images: In the order in which they stand for cameras.
        state: The vectors.
        prompt: Places where the instruction may be; the first that is there counts.
        actions: What the columns of `actions` are; all actions of the robot must be among them.
        roboarena: For RoboArena's handshake.
    """

    name: str
    description: str = ""
    protocol: Protocol = "openpi"
    image_shape: tuple[int, int] = (224, 224)
    images: tuple[Image, ...]
    state: tuple[Vector, ...]
    prompt: tuple[Path_, ...] = (("prompt",),)
    actions: Annotated[tuple[Part, ...], Meta(min_length=1)]
    roboarena: RoboArena | None = None


_DECODER: Final = msgspec.json.Decoder(Mapping)


def shipped_mappings() -> tuple[str, ...]:
    """Names of the mappings that come with the project."""
    files = resources.files("unichunk.server.wire.mappings").iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json")))


def load_mapping(name: str) -> Mapping:
    """A mapping by its name, or from a JSON file.

    Args:
        name: One of `shipped_mappings()`, or a path that ends with `.json`.

    Raises:
        MappingError: There is none, or it does not parse; one line, with the path of the key.
    """
    try:
        if name.endswith(".json"):
            data = Path(name).read_bytes()
        elif name in shipped_mappings():
            data = (resources.files("unichunk.server.wire.mappings") / f"{name}.json").read_bytes()
        else:
            known = ", ".join(shipped_mappings())
            raise MappingError(f"mapping {name!r}: expected one of {known}, or a JSON file")
        mapping = _DECODER.decode(data)
        _check(mapping)
    except OSError as error:
        raise MappingError(f"mapping {name}: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MappingError(f"mapping {name}: {error}") from None
    return mapping


def own_mapping(robot: RobotEntry, image_size: int, widths: dict[str, int], protocol: Protocol) -> Mapping:
    """The mapping of clients that use the policy's own keys.

    Args:
        robot: The robot's entry in the manifest.
        image_size: Side of an example's images, [px].
        widths: `state.<key>` -> number of values that the policy takes.
        protocol: Of the clients.
    """
    return Mapping(
        name="the policy's own keys",
        protocol=protocol,
        image_shape=(image_size, image_size),
        images=tuple(Image(at=(f"video.{name}",), cameras=(name,)) for name in robot.cameras),
        state=tuple(
            Vector(at=(f"state.{name}",), width=widths[f"state.{name}"], parts=(Part(key=name),))
            for name in robot.state
        ),
        prompt=(("language.instruction",), ("prompt",)),
        actions=tuple(Part(key=name, name=name) for name in robot.action),
    )


def _check(mapping: Mapping) -> None:
    """What the types alone do not say."""
    for label, part, width in (
        *((f"state {vector.at[-1]}", part, vector.width) for vector in mapping.state for part in vector.parts),
        *(("actions", part, None) for part in mapping.actions),
    ):
        what = f"mapping {mapping.name}: {label}"
        if bool(part.key) == (part.slots is not None):
            raise MappingError(f"{what}: expected either key or slots, got {_words(part)}")
        if part.slots is not None and part.slots[0] >= part.slots[1]:
            raise MappingError(f"{what}: expected slots that begin before they end, got {_words(part)}")
        if not part.scale:
            raise MappingError(f"{what}: expected a scale that is not 0, got {_words(part)}")
        if width is None:
            if part.columns is not None or part.rotation != "axis_angle":
                raise MappingError(
                    f"{what}: expected neither columns (they follow each other) nor a rotation, got {_words(part)}"
                )
            continue
        first, end = part.columns or (0, width)
        if not first < end <= width:
            raise MappingError(f"{what}: expected columns within {width}, got {_words(part)}")
        if part.slots is not None and end - first != _width(part, part.slots):
            raise MappingError(
                f"{what}: expected as many columns as slots (or numbers of a rotation), got {_words(part)}"
            )


def _width(part: Part, slots: Span) -> int:
    return slots[1] - slots[0] if part.rotation == "axis_angle" else rotation_width(part.rotation)


def _words(part: Part) -> str:
    given: dict[str, Any] = {"key": part.key, "slots": part.slots, "columns": part.columns}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value) or "neither"
