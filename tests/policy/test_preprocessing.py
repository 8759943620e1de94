"""From an observation to the prefix graph's inputs, against recordings and the same arithmetic written down plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from tests.one_line import refused
from tests.policy.golden import CASES, golden
from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import ImageInput, Key, NoNormalization
from unichunk.runtime.policy.preprocessing import ImageNormalizer, Preprocessor, fit_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest, RobotEntry

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PUBLISHED = {"eef_position": (0, 3), "eef_rotation": (3, 6), "libero_gripper_position": (44, 46)}


def some_image(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture with an edge, different in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [255 * x / width, 255 * y / height, 255 * (x > y)]
    return np.stack(planes, axis=2).astype(np.uint8)


def no_words(instruction: Any) -> NDArray[np.int64]:
    return np.zeros((1, 64), np.int64)


def normalized(image: NDArray[np.uint8], settings: ImageInput) -> NDArray[np.float32]:
    out = np.full((3, settings.size, settings.size), np.nan, np.float32)
    ImageNormalizer(settings)(image, out)
    return out


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return read_manifest(bundle)


def preprocessor(manifest: Manifest) -> Preprocessor:
    return Preprocessor(manifest, manifest.robots["so101"], no_words)


@pytest.mark.parametrize("case", CASES)
def test_recorded_images_and_states_bit_by_bit(manifest: Manifest, case: str) -> None:
    recorded = golden(case)
    published = msgspec.structs.replace(manifest, image=ImageInput(size=56, mean=MEAN, std=STD))
    robot = msgspec.structs.replace(
        manifest.robots["so101"],
        cameras=("top_view", "wrist_view"),
        state={name: Key(slots=slots, normalization=NoNormalization()) for name, slots in PUBLISHED.items()},
    )
    observation = {name.removeprefix("obs/"): value for name, value in recorded.items() if name.startswith("obs/")}
    inputs = Preprocessor(published, robot, no_words)(observation)
    assert inputs["images"].dtype == np.float32
    np.testing.assert_array_equal(inputs["images"], recorded["pixel_values"])
    np.testing.assert_array_equal(inputs["state"], recorded["state_unified"])


@pytest.mark.parametrize(
    ("height", "width", "resized", "cut"),
    [
        (480, 640, (56, 74), (0, 9)),
        (640, 480, (74, 56), (9, 0)),
        (120, 121, (56, 56), (0, 0)),
        (100, 103, (56, 57), (0, 0)),
        (100, 107, (56, 59), (0, 2)),
        (30, 40, (56, 74), (0, 9)),
        (1, 2, (56, 112), (0, 28)),
        (1, 1, (56, 56), (0, 0)),
    ],
)
def test_the_shorter_side_is_resized_and_the_centre_cut(
    height: int, width: int, resized: tuple[int, int], cut: tuple[int, int]
) -> None:
    image = some_image(height, width)
    whole = np.asarray(Image.fromarray(image).resize(resized[::-1], Image.Resampling.BICUBIC))
    top, left = cut
    np.testing.assert_array_equal(fit_image(image, 56), whole[top : top + 56, left : left + 56])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 23), (30, 16)])
def test_an_image_whose_shorter_side_is_right_is_not_resampled(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    top, left = round((height - 16) / 2), round((width - 16) / 2)
    fitted = fit_image(image, 16)
    np.testing.assert_array_equal(fitted, image[top : top + 16, left : left + 16])
    assert np.shares_memory(fitted, image)


@pytest.mark.parametrize("value", range(0, 256, 5))
def test_every_level_is_normalized_as_the_arithmetic_says(value: int) -> None:
    settings = ImageInput(size=4, mean=MEAN, std=STD)
    result = normalized(np.full((4, 4, 3), value, np.uint8), settings)
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    plainly = (np.float32(value) / np.float32(255) - mean) / std
    np.testing.assert_array_equal(result, np.broadcast_to(plainly[:, None, None], (3, 4, 4)))


def test_images_in_any_memory_layout() -> None:
    settings = ImageInput(size=10, mean=MEAN, std=STD)
    image = some_image(40, 48)
    strided = image[::2, ::-2, ::-1]
    np.testing.assert_array_equal(normalized(strided, settings), normalized(strided.copy(), settings))
    image.flags.writeable = False
    np.testing.assert_array_equal(normalized(image, settings), normalized(image.copy(), settings))


def test_the_state_in_its_slots_and_zero_elsewhere(manifest: Manifest) -> None:
    arm = np.array([0.1, -0.2, 0.3, -0.4, 0.5])
    inputs = preprocessor(manifest)(
        {
            "video.third_person": some_image(24, 32),
            "state.arm_joints": arm,
            "state.gripper": np.array([0.75], np.float32),
            "language.instruction": "wave",
        }
    )
    expected = np.zeros((1, 200))
    for name, slots, values in (("arm_joints", slice(50, 55), arm), ("gripper", slice(18, 19), np.array([0.75]))):
        normalization: Any = manifest.robots["so101"].state[name].normalization
        expected[0, slots] = (values - normalization.mean) / normalization.std
    assert inputs["state"].dtype == np.float32
    np.testing.assert_allclose(inputs["state"], expected, rtol=1e-5)
    assert not np.delete(inputs["state"], [18, *range(50, 55)]).any()


def test_inputs_have_the_names_shapes_and_types_of_the_graph(manifest: Manifest) -> None:
    inputs = preprocessor(manifest)(an_observation(manifest.robots["so101"]))
    declared = {tensor.name: (tensor.shape, tensor.dtype) for tensor in manifest.graphs.prefix.inputs}
    assert {name: (value.shape, value.dtype.name) for name, value in inputs.items()} == declared


def an_observation(robot: RobotEntry) -> dict[str, Any]:
    return {
        **{f"video.{name}": some_image(120, 160) for name in robot.cameras},
        **{f"state.{name}": np.zeros(key.width) for name, key in robot.state.items()},
        "language.instruction": "",
    }


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_views_come_in_the_order_of_the_cameras(
    manifest: Manifest, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    names = ("left", "right", "wrist")
    views = msgspec.structs.replace(manifest.robots["so101"], cameras=names)
    observation = {
        **an_observation(views),
        **{f"video.{name}": np.full((24, 32, 3), 100 * i, np.uint8) for i, name in enumerate(names)},
    }
    images = Preprocessor(manifest, views, no_words)(observation)["images"]
    assert images.shape == (3, 3, 24, 24)
    assert images[0].max() < images[1].min()
    assert images[1].max() < images[2].min()


@pytest.mark.parametrize("value", [[0.5, 0.5, 0.5, 0.5], np.array([[2, 2, 2, 2]])])
def test_rotations_arrive_as_axis_angle(manifest: Manifest, value: Any) -> None:
    key = Key(slots=(73, 76), normalization=NoNormalization(), rotation="quaternion_wxyz")
    turning = msgspec.structs.replace(manifest.robots["so101"], state={"base_rotation": key})
    inputs = Preprocessor(manifest, turning, no_words)({**an_observation(turning), "state.base_rotation": value})
    third = 2 * np.pi / 3 / np.sqrt(3)
    np.testing.assert_allclose(inputs["state"][0, 73:76], [third] * 3, rtol=1e-6)


def test_a_rotation_matrix_may_come_as_one(manifest: Manifest) -> None:
    key = Key(slots=(73, 76), normalization=NoNormalization(), rotation="matrix")
    turning = msgspec.structs.replace(manifest.robots["so101"], state={"base_rotation": key})
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    for value in (quarter, quarter.reshape(9), quarter.reshape(1, 9)):
        inputs = Preprocessor(manifest, turning, no_words)({**an_observation(turning), "state.base_rotation": value})
        np.testing.assert_allclose(inputs["state"][0, 73:76], [0, 0, np.pi / 2], rtol=1e-6)
    with refused(ObservationError, "state.base_rotation: expected shape (9,), got (3,)"):
        Preprocessor(manifest, turning, no_words)({**an_observation(turning), "state.base_rotation": np.zeros(3)})


def test_what_is_no_rotation_is_refused(manifest: Manifest) -> None:
    key = Key(slots=(73, 76), normalization=NoNormalization(), rotation="quaternion_xyzw")
    turning = msgspec.structs.replace(manifest.robots["so101"], state={"base_rotation": key})
    with refused(ObservationError, "state.base_rotation: expected a quaternion that is not zero, got [[0.0"):
        Preprocessor(manifest, turning, no_words)({**an_observation(turning), "state.base_rotation": np.zeros(4)})
