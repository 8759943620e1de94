"""Keys of a bundle: slots of the configuration, statistics of the dataset; what does not fit is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest

from tests.compile.golden_files import GOLDEN, drop, golden_metadata, put
from tests.one_line import refused
from unichunk.runtime.compile.data_config import DataConfig, parse_data_config, read_data_config, shipped_data_configs
from unichunk.runtime.compile.keys import Keys, build_keys
from unichunk.runtime.compile.metadata import DatasetMetadata, read_metadata
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import Binary, Key, MeanStd, MinMax, NoNormalization, Quantiles
from unichunk.runtime.policy.rotation import rotation_width


def metadata(document: dict[str, Any]) -> DatasetMetadata:
    return msgspec.convert(document, DatasetMetadata, strict=False)


def fitting(config: DataConfig) -> dict[str, Any]:
    """Metadata that a data configuration fits."""
    words = {"quaternion_wxyz": "quaternion", "axis_angle": "axis_angle", None: None}
    document: dict[str, Any] = {"embodiment_tag": "robot", "modalities": {}, "statistics": {}}
    for section, keys in (("state", config.state), ("action", config.action)):
        document["modalities"][section] = {
            name: {
                "shape": [rotation_width(key.rotation) if key.rotation else key.width],
                "rotation_type": words[key.rotation],
            }
            for name, key in keys.items()
        }
        document["statistics"][section] = {
            name: {
                statistic: [value + 0.25 * slot for slot in range(key.width)]
                for value, statistic in enumerate(("min", "max", "mean", "std", "q01", "q99"))
            }
            for name, key in keys.items()
        }
    return document


@pytest.mark.parametrize("name", shipped_data_configs())
def test_every_shipped_configuration(name: str) -> None:
    config = read_data_config(name)
    keys = build_keys(config, metadata(fitting(config)))
    for section in ("state", "action"):
        built, declared = getattr(keys, section), getattr(config, section)
        assert {key: value.slots for key, value in built.items()} == {
            key: value.slots for key, value in declared.items()
        }
        assert list(built) == list(declared)


def test_the_golden() -> None:
    keys = build_keys(read_data_config("libero_nonorm"), read_metadata(GOLDEN, "uni_posttrain"))
    raw = NoNormalization()
    assert keys == Keys(
        state={
            "eef_position": Key(slots=(0, 3), normalization=raw),
            "eef_rotation": Key(slots=(3, 6), normalization=raw),
            "libero_gripper_position": Key(slots=(44, 46), normalization=raw),
        },
        action={
            "eef_position": Key(slots=(0, 3), normalization=raw),
            "eef_rotation": Key(slots=(3, 6), normalization=raw),
            "gripper_position": Key(slots=(18, 19), normalization=raw),
        },
    )


def configuration(mode: str, rotation: str | None = None) -> DataConfig:
    key = {"slots": [3, 6], "mode": mode, "rotation": rotation}
    document = {"name": "mine", "views": ["top"], "state": {"turn": key}, "action": {"lift": {"slots": [70, 73]}}}
    return parse_data_config(json.dumps(document).encode(), "mine.json")


STATISTICS = {
    "min": [-1.0, -2.0, -3.0],
    "max": [1.0, 2.0, 3.0],
    "mean": [0.1, 0.2, 0.3],
    "std": [0.5, 0.6, 0.7],
    "q01": [-0.9, -1.9, -2.9],
    "q99": [0.9, 1.9, 2.9],
}
DOCUMENT: dict[str, Any] = {
    "embodiment_tag": "robot",
    "modalities": {"state": {"turn": {"shape": [3]}}, "action": {"lift": {"shape": [3]}}},
    "statistics": {"state": {"turn": STATISTICS}},
}


def document() -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", NoNormalization()),
        ("binary", Binary()),
        ("mean_std", MeanStd(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))),
        ("min_max", MinMax(low=(-1.0, -2.0, -3.0), high=(1.0, 2.0, 3.0))),
        ("q99", Quantiles(q01=(-0.9, -1.9, -2.9), q99=(0.9, 1.9, 2.9))),
    ],
)
def test_modes_take_their_statistics(mode: str, expected: object) -> None:
    keys = build_keys(configuration(mode), metadata(document()))
    assert keys.state["turn"].normalization == expected
    assert keys.action["lift"].normalization == NoNormalization()


@pytest.mark.parametrize(("mode", "lacking"), [("mean_std", "std"), ("min_max", "max"), ("q99", "q01")])
def test_lacking_statistics_are_named(mode: str, lacking: str) -> None:
    with refused(CheckpointError, "state key 'turn'", repr(mode), repr(lacking)):
        build_keys(configuration(mode), metadata(drop(document(), f"statistics.state.turn.{lacking}")))
    with refused(CheckpointError, "state key 'turn'", repr(mode), "no "):
        build_keys(configuration(mode), metadata(drop(document(), "statistics.state")))


def test_raw_and_binary_keys_need_no_statistics() -> None:
    lacking = metadata(drop(document(), "statistics"))
    assert build_keys(configuration("none"), lacking).state["turn"].normalization == NoNormalization()
    assert build_keys(configuration("binary"), lacking).state["turn"].normalization == Binary()


def test_statistics_of_another_width() -> None:
    with refused(CheckpointError, "'turn'", "'std'", "2 values", "expected 3"):
        build_keys(configuration("mean_std"), metadata(put(document(), "statistics.state.turn.std", [1.0, 2.0])))


@pytest.mark.parametrize("values", [1, 2, 4, 7])
def test_an_action_key_outside_its_slots(values: int) -> None:
    with refused(CheckpointError, "action key 'lift'", f"{values} values", "70-73", "3"):
        build_keys(configuration("none"), metadata(put(document(), "modalities.action.lift.shape", [values])))


def test_unknown_keys_get_the_list() -> None:
    with refused(CheckpointError, "action key 'gripper_position'", "eef_position, eef_rotation"):
        meta = golden_metadata()["uni_posttrain"]
        build_keys(read_data_config("libero_nonorm"), metadata(drop(meta, "modalities.action.gripper_position")))
    with refused(CheckpointError, "state key 'arm_joints'", "libero_gripper_position"):
        build_keys(read_data_config("so101_follow"), read_metadata(GOLDEN, "uni_posttrain"))


@pytest.mark.parametrize(
    ("rotation", "word", "values"),
    [
        ("quaternion_wxyz", "quaternion", 4),
        ("quaternion_xyzw", "quaternion", 4),
        ("axis_angle", "axis_angle", 3),
        ("rotation_6d", "rotation_6d", 6),
        ("matrix", "matrix", 9),
        ("euler_xyz", "euler_angles_rpy", 3),
        ("euler_xyz", None, 3),
    ],
)
def test_rotations_are_converted_from_what_the_dataset_has(rotation: str, word: str | None, values: int) -> None:
    meta = put(document(), "modalities.state.turn", {"shape": [values], "rotation_type": word})
    key = build_keys(configuration("none", rotation), metadata(meta)).state["turn"]
    assert (key.rotation, key.slots) == (rotation, (3, 6))


def test_rotations_of_another_form_are_refused() -> None:
    meta = put(document(), "modalities.state.turn", {"shape": [3], "rotation_type": "euler_angles"})
    with refused(CheckpointError, "'turn'", "'axis_angle'", "'euler_angles'"):
        build_keys(configuration("none", "axis_angle"), metadata(meta))
    with refused(CheckpointError, "'turn'", "4 values", "take 3 of form axis_angle"):
        meta = put(document(), "modalities.state.turn", {"shape": [4], "rotation_type": "quaternion"})
        build_keys(configuration("none", "axis_angle"), metadata(meta))
    with refused(CheckpointError, "'turn'", "3 values", "4 of form quaternion_wxyz"):
        meta = put(document(), "modalities.state.turn", {"shape": [3], "rotation_type": None})
        build_keys(configuration("none", "quaternion_wxyz"), metadata(meta))
    with refused(CheckpointError, "'turn'", "'quaternion_wxyz'", "'spinor'", "expected axis_angle, quaternion"):
        meta = put(document(), "modalities.state.turn", {"shape": [4], "rotation_type": "spinor"})
        build_keys(configuration("none", "quaternion_wxyz"), metadata(meta))


@pytest.mark.parametrize(("word", "values", "form"), [("euler_angles_rpy", 3, "euler_xyz"), ("axis_angle", 3, None)])
def test_a_rotation_that_is_converted_is_converted_from_the_form_that_the_dataset_names(
    word: str, values: int, form: str | None
) -> None:
    meta = put(document(), "modalities.state.turn", {"shape": [values], "rotation_type": word})
    key = build_keys(configuration("none", "quaternion_wxyz"), metadata(meta)).state["turn"]
    assert key.rotation == (form or "axis_angle")
