"""A mapping, fitted to one robot of one bundle: a client's observation in, its actions out."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.arrays import in_words
from unichunk.runtime.policy.normalization import SlotMap
from unichunk.runtime.policy.rotation import no_rotation
from unichunk.server.wire.errors import MappingError
from unichunk.server.wire.instruction import instruction_in
from unichunk.server.wire.key_path import place, take
from unichunk.server.wire.mapping import own_mapping
from unichunk.server.wire.slot_parts import ActionColumns, StateSource, action_columns, state_sources

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingType

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest
    from unichunk.server.wire.mapping import Image, Mapping, Protocol, Vector

INSTRUCTION: Final = "language.instruction"


class ClientKeys:
    """What one kind of client sends and gets, for one robot of one bundle.

    Args:
        manifest: The bundle's description.
        embodiment: One of its robots.
        mapping: The client's keys; None: the policy's own.
        protocol: Whose clients they are, where there is no mapping.

    Attributes:
        mapping: The mapping, also where it is the policy's own keys.
        images: Camera -> the image that stands for it.

    Raises:
        MappingError: Where the mapping does not fit the robot: a camera or a state without a source, columns of actions
            that the robot does not have, actions that the client would never see. One line.
    """

    def __init__(
        self, manifest: Manifest, embodiment: str, mapping: Mapping | None = None, protocol: Protocol = "openpi"
    ) -> None:
        robot = manifest.robots[embodiment]
        widths = SlotMap("state", robot.state, manifest.unified_width).widths
        self.mapping = mapping or own_mapping(robot, manifest.image.size, widths, protocol)
        try:
            self.images = _images(self.mapping, robot.cameras)
            self._state: dict[str, StateSource] = state_sources(self.mapping, robot.state)
            self._actions: ActionColumns = action_columns(self.mapping, robot.action)
        except MappingError as error:
            raise MappingError(f"mapping {self.mapping.name} does not fit robot {embodiment}: {error}") from None
        self._needs_language = manifest.language is not None
        self._resting = {name: key.rotation for name, key in robot.state.items()}

    def observation(self, given: Any) -> dict[str, Any]:
        """A client's observation in the policy's own keys.

        Images and whole vectors are passed on as they are, for the policy to check; nothing is resized.

        Raises:
            ObservationError: With the client's name of what is missing or of another shape.
        """
        result: dict[str, Any] = {}
        for camera, image in self.images.items():
            pixels = take(given, image.at)
            result[f"video.{camera}"] = _channels_last(image, pixels) if image.layout == "CHW" else pixels
        for name, source in self._state.items():
            result[f"state.{name}"] = source.read(given)
        instruction = instruction_in(given, self.mapping)
        if instruction is not None:
            result[INSTRUCTION] = instruction
        elif self._needs_language:
            # Says the client's name of it.
            take(given, self.mapping.prompt[0])
        return result

    def actions(self, chunk: MappingType[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The columns of `actions`, from `PolicyResult.actions`; shape (T, D), float32."""
        return self._actions.together(chunk)

    def named_actions(self, chunk: MappingType[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """The same numbers part by part, by the names that a GR00T client has for them; each (T, width), float32."""
        return self._actions.apart(chunk)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of `actions` is: the policy's key and the index within it."""
        return self._actions.names

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the parts of the actions, as in `named_actions`."""
        return self._actions.parts

    @property
    def vectors(self) -> tuple[Vector, ...]:
        """The vectors of the client's observation from which something is taken."""
        return tuple(
            vector for vector in self.mapping.state if any(source.uses(vector) for source in self._state.values())
        )

    def example(self) -> dict[str, Any]:
        """An observation of the right keys, shapes and types; its values mean nothing."""
        example: dict[str, Any] = {}
        height, width = self.mapping.image_shape
        for image in self.images.values():
            shape = (height, width, 3) if image.layout == "HWC" else (3, height, width)
            place(example, image.at, np.zeros(shape, np.uint8))
        for vector in self.vectors:
            place(example, vector.at, np.zeros(vector.width, np.float32))
        for name, source in self._state.items():
            if self._resting[name] != "axis_angle":
                source.write(example, no_rotation(self._resting[name]).astype(np.float32))
        place(example, self.mapping.prompt[0], "")
        return example


def _images(mapping: Mapping, cameras: tuple[str, ...]) -> dict[str, Image]:
    """Which image stands for which camera: those with patterns choose first, the others follow in their order."""
    found: dict[str, Image] = {}
    claimed = {}
    for image in mapping.images:
        fits = [name for name in cameras if any(fnmatchcase(name, pattern) for pattern in image.cameras)]
        claimed.update(dict.fromkeys(fits, image))
        if (name := next((name for name in fits if name not in found), None)) is not None:
            found[name] = image
    others = iter([image for image in mapping.images if not image.cameras])
    for name in cameras:
        if name not in found:
            if name in claimed:
                # Some other view would move the robot by what another camera sees.
                raise MappingError(
                    f"its camera {name} is one of {', '.join(claimed[name].cameras)}, and "
                    f"{'/'.join(claimed[name].at)} stands for another camera already"
                )
            if (left := next(others, None)) is None:
                known = ", ".join("/".join(image.at) for image in mapping.images)
                raise MappingError(f"no image is left for its camera {name}, the clients send {known}")
            found[name] = left
    return {name: found[name] for name in cameras}


def _channels_last(image: Image, pixels: Any) -> Any:
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 3 or len(pixels) != 3:
        label = "/".join(image.at)
        raise ObservationError(f"{label}: expected an RGB image, uint8 of shape (3, H, W), got {in_words(pixels)}")
    return pixels.transpose(1, 2, 0)
