"""From an observation to the inputs of the prefix graph. Everything is checked; nothing is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.normalization import SlotMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import ImageInput, LanguageInput, Manifest


class Preprocessor:
    """Builds `images`, `tokens` and `state` as the bundle's manifest says.

    Args:
        manifest: The bundle's description.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._cameras = manifest.cameras
        self._image = manifest.image
        self._language = manifest.language
        self._state = SlotMap("state", manifest.state, manifest.unified_width)

    def __call__(self, observation: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Inputs of the prefix graph by name.

        Args:
            observation: `video.<camera>` (H, W, 3) uint8 RGB, `state.<key>` (width,), `language.instruction` text.

        Raises:
            ObservationError: With the key, what it holds and what was expected.
        """
        views = [
            image_input(f"video.{name}", _take(observation, f"video.{name}"), self._image) for name in self._cameras
        ]
        inputs: dict[str, NDArray[Any]] = {"images": np.stack(views), "state": self._unified_state(observation)}
        if self._language is not None:
            inputs["tokens"] = token_input(_take(observation, "language.instruction"), self._language)
        return inputs

    def _unified_state(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        values = {}
        for name, width in self._state.widths.items():
            given = _take(observation, name)
            try:
                value = np.asarray(given, np.float64)
            except (TypeError, ValueError):
                raise ObservationError(f"{name}: expected {width} numbers, got {given!r}") from None
            if value.shape not in ((width,), (1, width)):
                raise ObservationError(f"{name}: expected shape ({width},), got {value.shape}")
            if not np.isfinite(value).all():
                raise ObservationError(f"{name}: expected finite values, got {value.tolist()}")
            values[name] = value.reshape(1, width)
        return self._state.encode(values, 1)


def image_input(label: str, image: Any, settings: ImageInput) -> NDArray[np.float32]:
    """One view: bicubic resize (Pillow), /255, (x - mean) / std, channels first, shape (3, height, width).

    Args:
        label: The observation's key, for error messages.
        image: RGB image, shape (H, W, 3), uint8.
        settings: Size, mean and standard deviation.
    """
    right = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if not right or image.size == 0:
        found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ObservationError(f"{label}: expected an RGB image, uint8 of shape (H, W, 3), got {found}")
    if image.shape[:2] != (settings.height, settings.width):
        size = (settings.width, settings.height)
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    mean, std = np.array(settings.mean, np.float32), np.array(settings.std, np.float32)
    scaled = (image.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def token_input(instruction: Any, settings: LanguageInput) -> NDArray[np.int64]:
    """Token ids of an instruction, shape (1, max_tokens): UTF-8 bytes + 1, padded with 0."""
    if not isinstance(instruction, str):
        raise ObservationError(f"language.instruction: expected a text, got {type(instruction).__name__}")
    try:
        data = instruction.encode()
    except UnicodeEncodeError as error:
        raise ObservationError(f"language.instruction: expected a text that UTF-8 can hold: {error}") from None
    if len(data) > settings.max_tokens:
        raise ObservationError(
            f"language.instruction: {len(data)} bytes, expected at most {settings.max_tokens}; shorten the instruction"
        )
    tokens = np.zeros((1, settings.max_tokens), np.int64)
    tokens[0, : len(data)] = np.frombuffer(data, np.uint8).astype(np.int64) + 1
    return tokens


def _take(observation: Mapping[str, Any], key: str) -> Any:
    try:
        return observation[key]
    except KeyError:
        raise ObservationError(f"{key}: missing from the observation, which has {sorted(observation)}") from None
