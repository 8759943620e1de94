"""Observation mappings: what fits which robot, and where every number goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from tests.wire.manifests import MANIFESTS, aloha, droid, generalist, key, libero, robocasa, with_robot
from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy.preprocessing import Preprocessor
from unichunk.server.wire.client_keys import ClientKeys
from unichunk.server.wire.errors import MappingError
from unichunk.server.wire.mapping import Image, Mapping, Part, Vector, load_mapping, shipped_mappings

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.policy.manifest import Manifest

FITS = {
    "droid": {("droid", "robot")},
    "roboarena": {("droid", "robot")},
    "groot_droid": {("droid", "robot")},
    "libero": {("libero", "robot")},
    "aloha": {("aloha", "robot")},
    "groot_so101": {("generalist", "so101")},
    "groot_two_arms": {("generalist", "g1_o6")},
}
"""Shipped mapping -> the robots of these tests that it is for."""

ROBOTS = [(bundle, robot) for bundle, manifest in MANIFESTS.items() for robot in manifest().embodiments]


def accepted(manifest: Manifest, robot: str, observation: dict[str, Any]) -> dict[str, Any]:
    """What the policy's own checks make of an observation."""
    texts = []
    preprocess = Preprocessor(
        manifest, manifest.robots[robot], lambda text: (texts.append(text), np.zeros((1, 4), np.int64))[1]
    )
    return preprocess(observation)


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_shipped_mapping_fits_its_robots_and_no_others(name: str) -> None:
    fitted = set()
    for bundle, robot in ROBOTS:
        manifest = MANIFESTS[bundle]()
        try:
            keys = ClientKeys(manifest, robot, load_mapping(name))
        except MappingError as error:
            message = str(error)
            assert message.startswith(f"mapping {name} does not fit robot {robot}: ")
            assert "\n" not in message
            continue
        fitted.add((bundle, robot))
        accepted(manifest, robot, keys.observation(keys.example()))
    assert fitted == FITS[name]


@pytest.mark.parametrize(("bundle", "robot"), ROBOTS)
def test_without_a_mapping_the_policys_own_keys(bundle: str, robot: str) -> None:
    manifest = MANIFESTS[bundle]()
    keys = ClientKeys(manifest, robot)
    example = keys.example()
    assert set(example) == {
        *(f"video.{name}" for name in manifest.robots[robot].cameras),
        *(f"state.{name}" for name in manifest.robots[robot].state),
        "language.instruction",
    }
    observation = keys.observation(example)
    accepted(manifest, robot, observation)
    assert all(observation[name] is example[name] for name in example if name != "language.instruction")
    chunk = chunk_of(manifest, robot)
    together = keys.actions(chunk)
    assert together.dtype == np.float32
    assert np.array_equal(together, np.concatenate(list(chunk.values()), axis=1))
    assert {f"action.{name}": rows.tolist() for name, rows in keys.named_actions(chunk).items()} == {
        name: rows.tolist() for name, rows in chunk.items()
    }


def chunk_of(manifest: Manifest, robot: str) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """A chunk whose values tell their slots: row + slot / 1000."""
    return {
        f"action.{name}": np.add.outer(np.arange(4), np.arange(*entry.slots) / 1000).astype(np.float32)
        for name, entry in manifest.robots[robot].action.items()
    }


def test_droid() -> None:
    keys = ClientKeys(droid(), "robot", load_mapping("droid"))
    side, hand = (np.full((4, 4, 3), value, np.uint8) for value in (1, 2))
    observation = keys.observation(
        {
            "observation/exterior_image_1_left": side,
            "observation/wrist_image_left": hand,
            "observation/joint_position": np.arange(7.0),
            "observation/gripper_position": np.array([0.25]),
            "prompt": "go",
        }
    )
    assert observation["video.side"] is side
    assert observation["video.hand_cam"] is hand
    assert observation["state.arm"].tolist() == list(range(7))
    assert observation["state.gripper"].tolist() == [0.75], "0 is open there, and closed here"
    assert observation["language.instruction"] == "go"
    actions = keys.actions(chunk_of(droid(), "robot"))
    assert actions.shape == (4, 8)
    np.testing.assert_allclose(actions[0], [*np.arange(50, 57) / 1000, 1 - 0.018], rtol=1e-6)
    assert keys.columns == (*(f"arm.{index}" for index in range(7)), "gripper.0")


def test_libero() -> None:
    keys = ClientKeys(libero(), "robot", load_mapping("libero"))
    example = keys.example() | {"observation/state": np.arange(8.0)}
    observation = keys.observation(example)
    assert observation["state.eef_position"].tolist() == [0, 1, 2]
    assert observation["state.eef_rotation"].tolist() == [3, 4, 5]
    assert observation["state.libero_gripper_position"].tolist() == [6, 7]
    actions = keys.actions(chunk_of(libero(), "robot"))
    np.testing.assert_allclose(actions[0], [*np.arange(6) / 1000, 1 - 2 * 0.018], rtol=1e-6)


def test_aloha() -> None:
    keys = ClientKeys(aloha(), "robot", load_mapping("aloha"))
    example = keys.example()
    assert set(example["images"]) == {"cam_high", "cam_left_wrist", "cam_right_wrist"}
    pixels = np.random.default_rng(0).integers(0, 255, (3, 5, 6), dtype=np.uint8)
    example["images"]["cam_left_wrist"] = pixels
    example["state"] = np.arange(14.0)
    observation = keys.observation(example)
    assert np.array_equal(observation["video.left_wrist"], pixels.transpose(1, 2, 0))
    assert observation["state.left_arm"].tolist() == [0, 1, 2, 3, 4, 5]
    assert observation["state.left_gripper"].tolist() == [6]
    assert observation["state.right_arm"].tolist() == [7, 8, 9, 10, 11, 12]
    assert observation["state.right_gripper"].tolist() == [13]
    actions = keys.actions(chunk_of(aloha(), "robot"))
    np.testing.assert_allclose(actions[0] * 1000, [*range(57, 63), 19, *range(50, 56), 18], rtol=1e-5)
    accepted(aloha(), "robot", observation)


def test_neighbours_with_other_conversions() -> None:
    parts = (
        Part(slots=(50, 53), columns=(0, 3)),
        Part(slots=(53, 55), columns=(3, 5), scale=2.0),
        Part(slots=(55, 57), columns=(5, 7), scale=2.0, offset=1.0),
        Part(slots=(18, 19), columns=(7, 8)),
    )
    mapping = msgspec.structs.replace(load_mapping("droid"), state=(Vector(at=("s",), width=8, parts=parts),))
    keys = ClientKeys(droid(), "robot", mapping)
    observation = keys.observation(keys.example() | {"s": np.arange(8.0)})
    assert observation["state.arm"].tolist() == [0, 1, 2, 6, 8, 11, 13]
    assert observation["state.gripper"].tolist() == [7]


def test_names_for_groot() -> None:
    keys = ClientKeys(generalist(), "so101", load_mapping("groot_so101"))
    chunk = chunk_of(generalist(), "so101")
    named = keys.named_actions(chunk)
    assert list(named) == ["single_arm", "gripper"]
    assert np.array_equal(named["single_arm"], chunk["action.arm_joints"])


def test_a_rotation_in_the_form_that_the_policy_takes() -> None:
    keys = ClientKeys(robocasa(), "robot")
    example = keys.example()
    assert example["state.base_rotation"].tolist() == [1, 0, 0, 0]
    mapping = msgspec.structs.replace(
        keys.mapping,
        name="quaternions",
        state=(
            Vector(
                at=("robot", "state"),
                width=15,
                parts=(
                    Part(slots=(73, 76), columns=(0, 4), rotation="quaternion_wxyz"),
                    Part(slots=(70, 73), columns=(4, 7)),
                    Part(slots=(0, 6), columns=(7, 13)),
                    Part(key="gripper_qpos", columns=(13, 15), scale=0.5),
                ),
            ),
        ),
    )
    keys = ClientKeys(robocasa(), "robot", mapping)
    example = keys.example()
    assert example["robot"]["state"].tolist() == [1, *[0] * 14]
    accepted(robocasa(), "robot", keys.observation(example))
    example["robot"]["state"] = np.arange(15.0)
    observation = keys.observation(example)
    assert observation["state.base_rotation"].tolist() == [0, 1, 2, 3]
    assert observation["state.eef_rotation"].tolist() == [10, 11, 12]
    assert observation["state.gripper_qpos"].tolist() == [6.5, 7]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"observation/state": None}, ("observation/state", "missing")),
        ({"observation/state": np.zeros(7)}, ("observation/state", "(8,)", "(7,)")),
        ({"observation/state": np.zeros((8, 1))}, ("observation/state", "(8,)", "(8, 1)")),
        ({"observation/state": np.zeros((2, 8))}, ("observation/state", "(8,)", "(2, 8)")),
        ({"observation/state": "much"}, ("observation/state", "8 numbers", "much")),
        ({"observation/image": None}, ("observation/image", "missing")),
        ({"prompt": None}, ("prompt", "missing")),
        ({"prompt": 3}, ("prompt", "a text", "3")),
        ({"prompt": ["a", "b"]}, ("prompt", "a text")),
    ],
)
def test_what_a_client_left_out_in_its_own_words(change: dict[str, Any], words: tuple[str, ...]) -> None:
    keys = ClientKeys(libero(), "robot", load_mapping("libero"))
    example = {name: value for name, value in (keys.example() | change).items() if value is not None}
    with refused(ObservationError, *words):
        keys.observation(example)


def test_observations_that_are_none() -> None:
    keys = ClientKeys(aloha(), "robot", load_mapping("aloha"))
    with refused(ObservationError, "observation", "by name"):
        keys.observation([1])
    with refused(ObservationError, "images", "by name"):
        keys.observation(keys.example() | {"images": 3})
    with refused(ObservationError, "images/cam_high", "(3, H, W)"):
        keys.observation(keys.example() | {"images": {"cam_high": np.zeros((4, 4, 3), np.uint8)}})


@pytest.mark.parametrize(
    "wrapped", ["go", ["go"], [["go"]], ("go",), np.array("go"), np.array([["go"]]), np.str_("go")]
)
def test_an_instruction_in_any_wrapping(wrapped: object) -> None:
    keys = ClientKeys(generalist(), "so101")
    observation = keys.observation(keys.example() | {"language.instruction": wrapped})
    assert observation["language.instruction"] == "go"
    assert type(observation["language.instruction"]) is str


def test_an_instruction_by_the_name_of_a_data_set() -> None:
    keys = ClientKeys(generalist(), "so101", protocol="groot")
    example = {name: value for name, value in keys.example().items() if name != "language.instruction"}
    given = example | {"annotation.human.coarse_action": [["go"]]}
    assert keys.observation(given)["language.instruction"] == "go"
    with refused(ObservationError, "instruction", "language.b"):
        keys.observation(given | {"language.b": "stay"})
    with refused(ObservationError, "language.instruction", "missing"):
        ClientKeys(generalist(), "so101").observation(given)
    without = msgspec.structs.replace(generalist(), language=None)
    assert "language.instruction" not in ClientKeys(without, "so101").observation(example)


def test_cameras_go_to_the_patterns_first() -> None:
    mapping = msgspec.structs.replace(
        load_mapping("droid"),
        images=(Image(at=("first",)), Image(at=("second",)), Image(at=("wrist",), cameras=("*wrist*",))),
    )
    arm = {"arm": key(50, 57), "gripper": key(18, 19)}

    def images(*cameras: str) -> list[str]:
        keys = ClientKeys(with_robot(cameras, arm, arm), "robot", mapping)
        return [keys.images[name].at[0] for name in cameras]

    assert images("wrist_left", "side", "top") == ["wrist", "first", "second"]
    assert images("side") == ["first"]
    assert images("side", "wrist_left") == ["first", "wrist"]
    with refused(MappingError, "camera c", "first, second, wrist"):
        images("a", "b", "c")
    # What is left is no picture of a wrist.
    with refused(MappingError, "camera wrist_right", "*wrist*", "wrist stands for another camera"):
        images("wrist_left", "wrist_right", "side")


def test_actions_that_a_client_would_never_see() -> None:
    mapping = load_mapping("droid")
    arm = {"arm": key(50, 57), "gripper": key(18, 19)}
    with refused(MappingError, "action.base", "left out"):
        ClientKeys(with_robot(("side",), arm, arm | {"base": key(70, 73)}), "robot", mapping)
    with refused(MappingError, "slot 18", "arm (50, 57)"):
        ClientKeys(with_robot(("side",), arm, {"arm": key(50, 57)}), "robot", mapping)


def test_keys_by_name() -> None:
    mapping = msgspec.structs.replace(
        load_mapping("droid"), actions=(Part(key="gripper"), Part(key="arm", name="joints", scale=2.0))
    )
    keys = ClientKeys(droid(), "robot", mapping)
    chunk = chunk_of(droid(), "robot")
    assert list(keys.named_actions(chunk)) == ["gripper", "joints"]
    np.testing.assert_allclose(keys.actions(chunk)[0], [0.018, *np.arange(50, 57) / 500], rtol=1e-6)
    with refused(MappingError, "no action.head", "gripper, arm"):
        ClientKeys(droid(), "robot", msgspec.structs.replace(mapping, actions=(Part(key="head"),)))
    narrow = (Vector(at=("s",), width=8, parts=(Part(key="arm", columns=(0, 6)), Part(key="gripper", columns=(7, 8)))),)
    with refused(MappingError, "state.arm takes 7", "6"):
        ClientKeys(droid(), "robot", msgspec.structs.replace(mapping, state=narrow))


GOOD = load_mapping("droid")


def test_a_mapping_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(msgspec.json.encode(GOOD))
    assert load_mapping(str(path)) == GOOD


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ("mine.json",)),
        ("[]", ("mine.json", "object")),
        ('{"name": "a", "images": [], "state": [], "actions": [], "x": 1}', ("mine.json",)),
        ('{"name": "a", "images": [], "state": [], "actions": []}', ("mine.json", "actions")),
        ('{"name": "a", "images": [], "state": [], "actions": [{}]}', ("actions", "neither")),
        (
            '{"name": "a", "images": [], "state": [], "actions": [{"key": "b", "slots": [1, 2]}]}',
            ("actions", "either key or slots"),
        ),
        ('{"name": "a", "images": [], "state": [], "actions": [{"slots": [2, 2]}]}', ("actions", "begin before")),
        (
            '{"name": "a", "images": [], "actions": [{"key": "b"}], "state": [{"at": ["s"], "width": 3, "parts": '
            '[{"key": "b", "columns": [1, 4]}]}]}',
            ("state s", "columns within 3"),
        ),
        (
            '{"name": "a", "images": [], "actions": [{"key": "b"}], "state": [{"at": ["s"], "width": 3, "parts": '
            '[{"slots": [0, 2]}]}]}',
            ("state s", "as many columns"),
        ),
        ('{"name": "a", "images": [{"at": []}], "state": [], "actions": [{"key": "b"}]}', ("images", "at")),
        ('{"name": "a", "images": [], "state": [], "actions": [{"key": "b", "scale": 0}]}', ("scale", "not 0")),
        ('{"name": "a", "images": [], "state": [], "actions": [{"key": "b", "columns": [0, 1]}]}', ("columns",)),
        (
            '{"name": "a", "images": [], "state": [], "actions": [{"key": "b", "rotation": "rotation_6d"}]}',
            ("rotation", "key b"),
        ),
    ],
)
def test_files_that_are_no_mapping(tmp_path: Path, content: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with refused(MappingError, *words):
        load_mapping(str(path))


def test_names_of_no_mapping(tmp_path: Path) -> None:
    with refused(MappingError, "'dance'", "droid", "libero"):
        load_mapping("dance")
    with refused(MappingError, "nowhere.json", "No such file"):
        load_mapping(str(tmp_path / "nowhere.json"))


def test_every_shipped_mapping_says_what_it_is() -> None:
    for name in shipped_mappings():
        mapping: Mapping = load_mapping(name)
        assert mapping.name == name
        assert len(mapping.description) > 40
