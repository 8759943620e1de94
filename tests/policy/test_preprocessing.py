"""From an observation to the prefix graph's inputs, against the same arithmetic written down plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import ImageInput, LanguageInput
from unichunk.runtime.policy.preprocessing import Preprocessor, image_input, token_input

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def some_image(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture with an edge, different in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [255 * x / width, 255 * y / height, 255 * (x > y)]
    return np.stack(planes, axis=2).astype(np.uint8)


def plainly(image: NDArray[np.uint8], settings: ImageInput) -> NDArray[np.float64]:
    """The documented arithmetic, one channel and one pixel at a time, in double precision."""
    pixels = Image.fromarray(image)
    if pixels.size != (settings.width, settings.height):
        pixels = pixels.resize((settings.width, settings.height), Image.Resampling.BICUBIC)
    result = np.empty((3, settings.height, settings.width))
    for y in range(settings.height):
        for x in range(settings.width):
            colour: Any = pixels.getpixel((x, y))
            for channel in range(3):
                result[channel, y, x] = (colour[channel] / 255 - settings.mean[channel]) / settings.std[channel]
    return result


@pytest.mark.parametrize("size", [(20, 30), (40, 60), (37, 91), (7, 5), (1, 1)])
def test_images(size: tuple[int, int]) -> None:
    settings = ImageInput(height=20, width=30, mean=MEAN, std=STD)
    image = some_image(*size)
    result = image_input("video.front", image, settings)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, plainly(image, settings), rtol=0, atol=2e-6)


def test_an_image_of_the_right_size_is_not_resampled() -> None:
    settings = ImageInput(height=16, width=16, mean=(0, 0, 0), std=(1, 1, 1))
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    result = image_input("video.front", image, settings)
    np.testing.assert_array_equal(np.rint(result * 255).astype(np.uint8), image.transpose(2, 0, 1))


def test_images_in_any_memory_layout() -> None:
    settings = ImageInput(height=10, width=10, mean=MEAN, std=STD)
    image = some_image(40, 40)
    strided = image[::2, ::-2, ::-1]
    np.testing.assert_array_equal(
        image_input("video.front", strided, settings), image_input("video.front", strided.copy(), settings)
    )
    image.flags.writeable = False
    assert image_input("video.front", image, settings).flags.writeable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("pick", [113, 106, 100, 108]),
        ("Go!\n", [72, 112, 34, 11]),
        ("grün", [104, 115, 196, 189, 111]),
        ("\0", [1]),
        ("12345678", [50, 51, 52, 53, 54, 55, 56, 57]),
    ],
)
def test_tokens(text: str, expected: list[int]) -> None:
    tokens = token_input(text, LanguageInput(tokenizer="utf8_bytes", max_tokens=8))
    assert tokens.shape == (1, 8)
    assert tokens.dtype == np.int64
    assert tokens[0].tolist() == expected + [0] * (8 - len(expected))


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return read_manifest(bundle)


def test_the_state_in_its_slots_and_zero_elsewhere(manifest: Manifest) -> None:
    arm = np.array([0.1, -0.2, 0.3, -0.4, 0.5])
    inputs = Preprocessor(manifest)(
        {
            "video.third_person": some_image(24, 32),
            "state.arm_joints": arm,
            "state.gripper": np.array([0.75], np.float32),
            "language.instruction": "wave",
        }
    )
    expected = np.zeros((1, 200))
    for name, slots, values in (("arm_joints", slice(50, 55), arm), ("gripper", slice(18, 19), np.array([0.75]))):
        normalization: Any = manifest.state[name].normalization
        expected[0, slots] = (values - normalization.mean) / normalization.std
    assert inputs["state"].dtype == np.float32
    np.testing.assert_allclose(inputs["state"], expected, rtol=1e-6)
    assert not np.delete(inputs["state"], [18, *range(50, 55)]).any()


def test_inputs_have_the_names_shapes_and_types_of_the_graph(manifest: Manifest) -> None:
    observation: dict[str, Any] = {
        "video.third_person": some_image(120, 160),
        "state.arm_joints": np.zeros(5),
        "state.gripper": np.zeros(1),
        "language.instruction": "",
    }
    inputs = Preprocessor(manifest)(observation)
    declared = {tensor.name: (tensor.shape, tensor.dtype) for tensor in manifest.graphs.prefix.inputs}
    assert {name: (value.shape, value.dtype.name) for name, value in inputs.items()} == declared


def test_views_come_in_the_order_of_the_cameras(manifest: Manifest) -> None:
    import msgspec

    two = msgspec.structs.replace(manifest, cameras=("left", "right"))
    observation: dict[str, Any] = {
        "video.right": np.full((24, 32, 3), 255, np.uint8),
        "video.left": np.zeros((24, 32, 3), np.uint8),
        "state.arm_joints": np.zeros(5),
        "state.gripper": np.zeros(1),
        "language.instruction": "",
    }
    images = Preprocessor(two)(observation)["images"]
    assert images.shape == (2, 3, 24, 32)
    assert images[0].max() < images[1].min()
