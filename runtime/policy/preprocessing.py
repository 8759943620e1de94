"""From an observation to the inputs of the prefix graph. Everything is checked; nothing is guessed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.arrays import in_words, numbers
from unichunk.runtime.policy.normalization import SlotMap
from unichunk.runtime.policy.optional_inputs import robot_inputs
from unichunk.runtime.reasoning import THOUGHT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import ImageInput, Manifest, RobotEntry

INSTRUCTION_KEY: Final = "language.instruction"


class Preprocessor:
    """Builds `images`, `tokens` and `state` as the bundle's manifest says, and what else its graphs ask for.

    Args:
        manifest: The bundle's description.
        robot: Whose cameras and state keys; one of the manifest's.
        tokenizer: Instruction -> token ids, shape (1, L); None for a policy without language.
    """

    def __init__(
        self, manifest: Manifest, robot: RobotEntry, tokenizer: Callable[[Any], NDArray[np.int64]] | None
    ) -> None:
        self._cameras = [f"video.{name}" for name in robot.cameras]
        self._images = ImageNormalizer(manifest.image)
        self._tokenizer = tokenizer
        self._thinks = manifest.reasoning is not None
        self._state = SlotMap("state", robot.state, manifest.unified_width)
        self._of_robot = robot_inputs(manifest, robot)
        # Resizing leaves the interpreter to others. Views beyond the first go to other cores where there are some.
        self._threads = min(len(self._cameras), len(os.sched_getaffinity(0))) - 1
        self._helpers: ThreadPoolExecutor | None = None
        self._process = 0

    def __call__(self, observation: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Inputs of the prefix graph by name, masks of the chunk graph among them.

        Args:
            observation: `video.<camera>` (H, W, 3) uint8 RGB, `state.<key>` (width,), `language.instruction` text,
                in whose place a policy that thinks takes `language.thought` where it is there;
                images and states may have a leading axis of one.

        Raises:
            ObservationError: With the key, what it holds and what was expected.
        """
        views = [_image(key, _take(observation, key)) for key in self._cameras]
        inputs: dict[str, NDArray[Any]] = {**self._of_robot, "state": self._unified_state(observation)}
        if self._tokenizer is not None:
            thought = self._thinks and THOUGHT_KEY in observation
            inputs["tokens"] = self._tokenizer(_take(observation, THOUGHT_KEY if thought else INSTRUCTION_KEY))
        inputs["images"] = self._image_input(views)
        return inputs

    def _image_input(self, views: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        images = np.empty((len(views), 3, self._images.size, self._images.size), np.float32)
        helpers = self._pool()
        if helpers is None:
            for view, out in zip(views, images, strict=True):
                self._images(view, out)
            return images
        others = [helpers.submit(self._images, *pair) for pair in zip(views[1:], images[1:], strict=True)]
        self._images(views[0], images[0])
        for other in others:
            other.result()
        return images

    def _pool(self) -> ThreadPoolExecutor | None:
        """This process's helpers: after a fork, those of the parent are not there, and would never answer."""
        if self._threads and self._process != os.getpid():
            self._helpers = ThreadPoolExecutor(self._threads, "unichunk-views")
            self._process = os.getpid()
        return self._helpers

    def _unified_state(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        values = {}
        for name, width in self._state.widths.items():
            value = numbers(name, _take(observation, name), np.float64, f"{width} numbers")
            # Nine numbers are a rotation matrix, which may come as one.
            if value.shape not in ((width,), (1, width), *(((3, 3),) if width == 9 else ())):
                raise ObservationError(f"{name}: expected shape ({width},), got {value.shape}")
            if not np.isfinite(value).all():
                raise ObservationError(f"{name}: expected finite values, got {value.tolist()}")
            values[name] = value.reshape(1, width)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                unified = self._state.encode(values, 1)
        except ValueError as error:
            raise ObservationError(str(error)) from None
        if not np.isfinite(unified).all():
            name = self._state.key_at(int(np.argmin(np.isfinite(unified[0]))))
            found = values[name][0].tolist()
            raise ObservationError(f"{name}: expected values that are finite once normalized, as float32, got {found}")
        return unified


class ImageNormalizer:
    """One view: fitted to the policy's square, /255, (x - mean) / std, channels first.

    Args:
        settings: Size, mean and standard deviation.
    """

    def __init__(self, settings: ImageInput) -> None:
        self.size = settings.size
        mean, std = np.array(settings.mean, np.float32), np.array(settings.std, np.float32)
        levels = np.arange(256, dtype=np.float32) / np.float32(255)
        # 256 levels in three channels: looked up, bit by bit what the arithmetic gives.
        self._table = (levels - mean[:, None]) / std[:, None]

    def __call__(self, image: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """An RGB image (H, W, 3) into `out`, shape (3, size, size)."""
        fitted = fit_image(image, self.size)
        for channel, table in enumerate(self._table):
            # Any mode but `raise` writes without a copy in between; no index is out of range.
            np.take(table, fitted[:, :, channel], out=out[channel], mode="clip")


def fit_image(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Fit an image to a square: the shorter side is resized to `size`, then the centre is cut out.

    Resizing is Pillow's, bicubic with antialiasing; the longer side and the cut are rounded as torchvision rounds
    them. An image whose shorter side is right is not resampled.

    Args:
        image: RGB image, shape (H, W, 3).
        size: Side of the square, [px].

    Returns:
        RGB image, shape (size, size, 3).
    """
    height, width = image.shape[:2]
    short = min(height, width)
    if short != size:
        height, width = (size if side == short else size * side // short for side in (height, width))
        resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BICUBIC)
        image = np.asarray(resized)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[top : top + size, left : left + size]


def _image(label: str, image: Any) -> NDArray[np.uint8]:
    pixels: Any = image[0] if isinstance(image, np.ndarray) and image.ndim == 4 and len(image) == 1 else image
    right = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    if not right or pixels.size == 0:
        found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ObservationError(f"{label}: expected an RGB image, uint8 of shape (H, W, 3), got {found}")
    result: NDArray[np.uint8] = pixels
    return result


def _take(observation: Mapping[str, Any], key: str) -> Any:
    try:
        return observation[key]
    except KeyError:
        keys = sorted(map(str, observation))
        raise ObservationError(f"{key}: missing from the observation, which has {keys}") from None
    except (TypeError, IndexError):
        raise ObservationError(f"observation: expected {key} and others by name, got {in_words(observation)}") from None
