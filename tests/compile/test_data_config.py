"""Data configurations: the shipped ones are those published; mistakes in others get one line."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.compile.golden_files import drop, put
from tests.one_line import refused
from unichunk.runtime.compile.data_config import DataConfig, parse_data_config, read_data_config, shipped_data_configs
from unichunk.runtime.compile.layout import KEY_SLOTS, REGIONS, misplaced
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.unified import RIGHT_ARM_JOINTS, RIGHT_GRIPPER, UNIFIED_WIDTH

if TYPE_CHECKING:
    from pathlib import Path


def slots(config: DataConfig, section: str) -> dict[str, tuple[int, int]]:
    return {name: key.slots for name, key in getattr(config, section).items()}


HANDS = {"right_hand": (20, 26), "left_hand": (32, 38)}
ARMS = {"right_arm": (50, 57), "left_arm": (57, 64)}
GENERALIST = {
    "generalist_so101": ("third_person", {"arm_joints": (50, 55), "gripper": (18, 19)}),
    "generalist_fr3_inspire": ("front", {"right_arm": (50, 57), "right_hand": (20, 26)}),
    "generalist_g1_o6": ("head", {**ARMS, **HANDS}),
    "generalist_adam_u": ("head_left", {**ARMS, "head": (64, 66), "waist": (66, 69), **HANDS}),
    "generalist_d1": ("head", {"right_arm": (50, 56), "head": (64, 66), "right_hand": (20, 26)}),
}


def test_shipped() -> None:
    assert shipped_data_configs() == [*sorted(GENERALIST), "libero_nonorm", "robocasa_human", "so101_follow"]
    assert all(read_data_config(name).name == name for name in shipped_data_configs())


def test_libero_nonorm() -> None:
    config = read_data_config("libero_nonorm")
    assert config.views == ("top_view", "wrist_view")
    arm = {"eef_position": (0, 3), "eef_rotation": (3, 6)}
    assert slots(config, "state") == {**arm, "libero_gripper_position": (44, 46)}
    assert slots(config, "action") == {**arm, "gripper_position": (18, 19)}
    assert {key.mode for key in [*config.state.values(), *config.action.values()]} == {"none"}


def test_robocasa_human() -> None:
    config = read_data_config("robocasa_human")
    assert config.views == ("left_view", "right_view", "wrist_view")
    arm = {"eef_position": (0, 3), "eef_rotation": (3, 6)}
    assert slots(config, "state") == {
        **arm,
        "gripper_qpos": (44, 46),
        "base_position": (70, 73),
        "base_rotation": (73, 76),
    }
    assert slots(config, "action") == {
        **arm,
        "gripper_position": (18, 19),
        "base_motion": (70, 74),
        "control_mode": (74, 75),
    }
    assert {name for name, key in config.action.items() if key.mode == "binary"} == {
        "gripper_position",
        "control_mode",
    }
    assert {key.mode for key in config.state.values()} == {"none"}
    forms = {name: key.rotation for name, key in config.state.items() if key.rotation}
    assert forms == {"eef_rotation": "axis_angle", "base_rotation": "quaternion_wxyz"}


def test_so101_follow() -> None:
    config = read_data_config("so101_follow")
    assert config.views == ("third_person",)
    for section in ("state", "action"):
        assert slots(config, section) == {"arm_joints": (50, 55), "gripper": (18, 19)}
    assert {key.mode for key in [*config.state.values(), *config.action.values()]} == {"mean_std"}


@pytest.mark.parametrize(("name", "view", "groups"), [(name, *rest) for name, rest in GENERALIST.items()])
def test_generalist(name: str, view: str, groups: dict[str, tuple[int, int]]) -> None:
    config = read_data_config(name)
    assert (config.views, config.noise) == ((view,), "own")
    assert slots(config, "state") == slots(config, "action") == groups
    assert {key.mode for key in [*config.state.values(), *config.action.values()]} == {"mean_std"}


def test_noise_is_in_all_slots_where_nothing_is_said() -> None:
    assert read_data_config("libero_nonorm").noise == read_data_config("so101_follow").noise == "all"


def test_the_layout_is_the_runtimes() -> None:
    covered = sorted(REGIONS.values())
    assert covered[0][0] == 0
    assert covered[-1][1] == UNIFIED_WIDTH
    assert all(before[1] == after[0] for before, after in itertools.pairwise(covered))
    assert REGIONS["right or only gripper"] == RIGHT_GRIPPER == KEY_SLOTS["gripper"]
    assert REGIONS["right or only arm joints"] == RIGHT_ARM_JOINTS == KEY_SLOTS["arm_joints"]
    assert all(any(low <= a and b <= high for low, high in covered) for a, b in KEY_SLOTS.values())


def valid() -> dict[str, Any]:
    return {
        "name": "mine",
        "views": ["front", "wrist"],
        "state": {
            "hand": {"slots": [20, 26], "mode": "q99"},
            "turn": {"slots": [3, 6], "rotation": "quaternion_xyzw"},
        },
        "action": {"hand": {"slots": [20, 26], "mode": "min_max"}, "lift": {"slots": [70, 71]}},
    }


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(valid()))
    config = read_data_config(str(file))
    assert config == read_data_config(file)
    assert config.state["turn"].rotation == "quaternion_xyzw"
    assert (config.state["hand"].mode, config.state["hand"].width) == ("q99", 6)


def test_unknown_names_get_the_list(tmp_path: Path) -> None:
    with refused(CheckpointError, "'libero'", "libero_nonorm, robocasa_human, so101_follow"):
        read_data_config("libero")
    with refused(CheckpointError, str(tmp_path / "none.json"), "libero_nonorm"):
        read_data_config(tmp_path / "none.json")
    with refused(CheckpointError, str(tmp_path), "cannot be read"):
        read_data_config(tmp_path)


REFUSED: list[tuple[str, Any, tuple[str, ...]]] = [
    ("noise", "none", ("'none'", "noise")),
    ("views", [], ("views",)),
    ("views", ["front", "front"], ("'front'", "twice")),
    ("action", {}, ("action",)),
    ("state.hand.mode", "q95", ("q95", "state")),
    ("state.hand.rotation", "axis", ("axis",)),
    ("state.hand.slot", [1, 2], ("slot",)),
    ("state.hand.slots", [20], ("slots",)),
    ("state.hand.slots", [26, 20], ("'hand'", "26-20", "first < last")),
    ("state.hand.slots", [20, 20], ("'hand'", "20-20", "first < last")),
    ("state.hand.slots", [-1, 2], ("'hand'", "-1-2", "0-200")),
    ("state.hand.slots", [198, 201], ("'hand'", "198-201", "0-200")),
    ("state.hand.slots", [17, 19], ("'hand'", "17-19", "left end effector (9-18)")),
    ("state.hand.slots", [56, 62], ("'hand'", "56-62", "right or only arm joints (50-57)")),
    ("state.hand.slots", [4, 8], ("'hand' and 'turn'", "slot 4")),
    ("state.turn.slots", [3, 7], ("'turn'", "4 slots", "expected 3")),
    ("state.turn.mode", "mean_std", ("'turn'", "'mean_std'", "before their conversion")),
    ("action.turn", {"slots": [3, 6], "rotation": "quaternion_wxyz"}, ("action key 'turn'", "always axis_angle")),
    ("action.shape", {"slots": [90, 100]}, ("action key 'shape'", "for states only")),
    ("action.gripper_position", {"slots": [19, 20]}, ("'gripper_position'", "19-20", "18-19")),
    ("action.eef_position", {"slots": [9, 12]}, ("'eef_position'", "9-12", "0-3")),
    ("state.arm_joints", {"slots": [50, 58]}, ("'arm_joints'", "50-58", "50-57")),
]


@pytest.mark.parametrize(("field", "value", "words"), REFUSED, ids=[f"{field}={value}" for field, value, _ in REFUSED])
def test_refused(tmp_path: Path, field: str, value: Any, words: tuple[str, ...]) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(put(valid(), field, value)))
    with refused(CheckpointError, str(file), *words):
        read_data_config(file)


@pytest.mark.parametrize("field", ["name", "views", "state", "action", "state.hand.slots"])
def test_a_missing_field_is_named(field: str) -> None:
    with refused(CheckpointError, "mine.json", field.rsplit(".", 1)[-1]):
        parse_data_config(json.dumps(drop(valid(), field)).encode(), "mine.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"x": ' + b"[" * 9000])
def test_not_json(content: bytes) -> None:
    with refused(CheckpointError, "mine.json"):
        parse_data_config(content, "mine.json")


def test_state_and_action_may_share_slots_and_states_may_hold_hand_shapes() -> None:
    document = put(valid(), "state.shape", {"slots": [90, 100]})
    assert parse_data_config(json.dumps(document).encode(), "mine.json").state["shape"].width == 10
    assert misplaced("action", "shape", (90, 100))
    assert not misplaced("state", "shape", (90, 100))
