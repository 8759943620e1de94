"""Specs that are wrong: each gets one line with the path of the key."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.errors import SpecError, UnknownEmbodiment
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.embodiments.spec_file import parse_spec

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "specs/mine.json"


def good() -> Any:
    return json.loads((resources.files("unichunk.embodiments") / "specs" / "so101.json").read_bytes())


def parse(document: Any) -> Any:
    return parse_spec(json.dumps(document).encode(), ORIGIN)


def place(document: Any, path: str) -> tuple[Any, Any]:
    """The container and the key that a dotted path ends in."""
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    for word in parents:
        document = document[word]
    return document, last


def test_a_good_spec_parses() -> None:
    spec = parse(good())
    assert spec == load_spec("so101")
    assert spec.joint_index("gripper") == [5]


def test_optional_parts_may_be_missing() -> None:
    document = good()
    for name in ("end_effectors", "twin", "notes"):
        del document[name]
    spec = parse(document)
    assert (spec.driver, spec.twin, spec.end_effectors, spec.checked_stream) == (None, None, {}, False)


def test_what_follows_from_the_groups() -> None:
    document = good()
    document["groups"]["gripper"]["command_hz"] = 50
    document["groups"]["arm_joints"]["joints"][0]["braking"] = 10.0
    spec = parse(document)
    assert spec.command_hz == 100
    assert [name for group in spec.groups.values() for name in group.joint_names] == list(spec.joint_names)
    assert spec.limits.braking.tolist() == [10.0] + [19.0] * 5


@pytest.mark.parametrize("name", ["", "so100", "SO101"])
def test_unknown_embodiments_learn_the_known_ones(name: str) -> None:
    with refused(UnknownEmbodiment, f"unknown embodiment {name!r}", *embodiment_names(), "unichunk embodiments"):
        load_spec(name)


@pytest.mark.parametrize("text", [b"", b"{", b"name: so101", b"\xff\xfe", b'{"name": "\xff"}', b"[" * 9000])
def test_not_json(text: bytes) -> None:
    with refused(SpecError, ORIGIN, "not JSON"):
        parse_spec(text, ORIGIN)


ARM, GRIPPER, CAMERA = "groups.arm_joints", "groups.gripper", "cameras.third_person"
TASK, HAND, CUBE = "twin.task", "twin.task.hands.right", "twin.objects.0"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format", 1, ("embodiment.format: expected 2, got 1",)),
        ("name", 101, ("Expected `str`, got `int`", "`embodiment.name`")),
        ("name", "", ("length >= 1", "`embodiment.name`")),
        ("name", "my/arm", ("embodiment.name: expected letters, digits", "got 'my/arm'")),
        ("model", "", ("length >= 1", "`embodiment.model`")),
        ("driver", "my_arm", ("embodiment.driver: expected 'module:Class', got 'my_arm'",)),
        ("driver", "my-arm:Arm", ("embodiment.driver: expected 'module:Class', got 'my-arm:Arm'",)),
        ("action_hz", 0, ("`embodiment.action_hz`",)),
        ("action_hz", 2.5, ("Expected `int`, got `float`", "`embodiment.action_hz`")),
        ("action_hz", 101, ("embodiment.groups: expected a command_hz of at least action_hz (101), got 100",)),
        ("watchdog_s", 1e308, ("`float` <= 3600", "`embodiment.watchdog_s`")),
        ("delay_margin_ticks", 10**18, ("`int` <= 10000", "`embodiment.delay_margin_ticks`")),
        (f"{CAMERA}.position", [1e308, 0, 0], ("`float` <= 100", f"`embodiment.{CAMERA}.position[0]`")),
        (f"{CAMERA}.up", [0, 0, -1e308], ("`float` >= -100", f"`embodiment.{CAMERA}.up[2]`")),
        (f"{CAMERA}.width", 10**9, ("`int` <= 16384", f"`embodiment.{CAMERA}.width`")),
        (f"{ARM}.joints.3.velocity", 1e300, ("`float` <= 10000", f"`embodiment.{ARM}.joints[3].velocity`")),
        (f"{ARM}.joints.3.acceleration", 1e308, ("`float` <= 1000000", f"`embodiment.{ARM}.joints[3].acceleration`")),
        (f"{ARM}.joints.3.lower", -1e308, ("`float` >= -1000", f"`embodiment.{ARM}.joints[3].lower`")),
        (f"{ARM}.servo.stiffness", 1e308, ("`float` <= 1000000", f"`embodiment.{ARM}.servo.stiffness`")),
        (f"{ARM}.command_hz", 19, (f"embodiment.{ARM}.command_hz: expected at least 20 (action_hz), got 19",)),
        (f"{GRIPPER}.command_hz", 7, (f"{GRIPPER}.command_hz: expected at least 8 (2 commands within watchdog_s)",)),
        ("watchdog_s", -0.1, ("`float` > 0", "`embodiment.watchdog_s`")),
        ("watchdog_s", 0.02, ("embodiment.watchdog_s: expected more than two command periods (0.02 s), got 0.02",)),
        ("observation_max_age_s", 0.05, ("embodiment.observation_max_age_s: expected more than a tick", "got 0.05")),
        ("frozen_camera_s", 0.1, (f"embodiment.{CAMERA}.fps: expected more than 20, see frozen_camera_s", "got 20")),
        ("delay_margin_ticks", 0, ("`int` >= 1", "`embodiment.delay_margin_ticks`")),
        ("minimum_postfix_ticks", 0, ("`int` >= 1", "`embodiment.minimum_postfix_ticks`")),
        ("speed", 1, ("unknown field `speed`",)),
        ("fallback", {"kind": "panic"}, ("'panic'", "`embodiment.fallback.kind`")),
        ("fallback", {"kind": "ramp"}, ("missing required field `velocity_fraction`", "`embodiment.fallback`")),
        ("fallback", {"kind": "ramp", "velocity_fraction": 2}, ("<= 1", "`embodiment.fallback.velocity_fraction`")),
        ("groups", {}, ("length >= 1", "`embodiment.groups`")),
        (f"{ARM}.kind", "leg", ("'leg'", f"`embodiment.{ARM}.kind`")),
        (f"{ARM}.side", None, (f"embodiment.{ARM}.side: expected right or left for arms",)),
        (f"{ARM}.kind", "waist", (f"embodiment.{ARM}.side: expected", "none for the others")),
        (f"{ARM}.command_hz", 20_000, ("Expected `int` <= 10000", f"`embodiment.{ARM}.command_hz`")),
        (f"{ARM}.unit", "degrees", ("'degrees'", f"`embodiment.{ARM}.unit`")),
        (f"{ARM}.joints", [], ("length >= 1", f"`embodiment.{ARM}.joints`")),
        (f"{ARM}.joints.1.name", "", ("length >= 1", f"`embodiment.{ARM}.joints[1].name`")),
        (
            f"{ARM}.joints.1.name",
            "gripper",
            ("groups: expected every joint in exactly one group, got 'gripper' twice",),
        ),
        (f"{ARM}.joints.1.mass", 1, ("unknown field `mass`", f"`embodiment.{ARM}.joints[1]`")),
        (f"{ARM}.joints.3.velocity", -1, ("`float` > 0", f"`embodiment.{ARM}.joints[3].velocity`")),
        (f"{ARM}.joints.3.acceleration", 0, ("`float` > 0", f"`embodiment.{ARM}.joints[3].acceleration`")),
        (f"{ARM}.joints.3.jerk", 0, ("`float` > 0", f"`embodiment.{ARM}.joints[3].jerk`")),
        (f"{ARM}.joints.0.lower", "low", ("Expected `float`, got `str`", f"`embodiment.{ARM}.joints[0].lower`")),
        (
            f"{ARM}.joints.2.lower",
            1.69,
            (f"embodiment.{ARM}.joints[2].upper: expected more than lower (1.69), got 1.69",),
        ),
        (
            f"{ARM}.joints.2.lower",
            2.0,
            (f"embodiment.{ARM}.joints[2].upper: expected more than lower (2.0), got 1.69",),
        ),
        (f"{ARM}.joints.4.rest", 3.0, (f"embodiment.{ARM}.joints[4].rest: expected within the limits, got 3.0",)),
        (
            f"{ARM}.joints.4.braking",
            38.0,
            (f"embodiment.{ARM}.joints[4].braking: expected less than the acceleration",),
        ),
        (
            f"{ARM}.joints.0.velocity",
            172.0,
            (f"embodiment.{ARM}.joints[0].velocity: expected at most 12", "brake at 19", "got 172"),
        ),
        (
            f"{ARM}.joints.0.braking",
            0.1,
            (f"embodiment.{ARM}.joints[0].velocity: expected at most", "can brake at 0.1"),
        ),
        (
            f"{ARM}.joints.0.jerk",
            700.0,
            (f"embodiment.{ARM}.joints[0].jerk: expected at least 760, got 700", "0.109 s, at most 0.1 s", "half"),
        ),
        (
            f"{ARM}.servo.stiffness",
            [1.0] * 4,
            (f"embodiment.{ARM}.servo.stiffness: expected one number or one for each",),
        ),
        (
            f"{ARM}.servo.damping",
            [],
            (f"embodiment.{ARM}.servo.damping: expected one number or one for each", "got []"),
        ),
        (f"{ARM}.servo.damping", 0, ("`float` > 0", f"`embodiment.{ARM}.servo.damping`")),
        (f"{ARM}.servo.friction", -1, ("`float` >= 0", f"`embodiment.{ARM}.servo.friction`")),
        (f"{ARM}.open", [0.0] * 5, (f"embodiment.{ARM}.open: expected hands and grippers to have it", "kind arm")),
        (f"{GRIPPER}.open", None, (f"embodiment.{GRIPPER}.open: expected a position for each joint of a gripper",)),
        (f"{GRIPPER}.open", [], (f"embodiment.{GRIPPER}.open: expected a position within the limits", "got []")),
        (
            f"{GRIPPER}.closed",
            [2.0],
            (f"embodiment.{GRIPPER}.closed: expected a position within the limits", "got [2.0]"),
        ),
        (f"{GRIPPER}.closed", [1.74533], (f"embodiment.{GRIPPER}.closed: expected another posture than the open one",)),
        (f"{GRIPPER}.slots", [18, 20], (f"embodiment.{GRIPPER}.slots: expected 1 slots", "got 18-20")),
        (f"{GRIPPER}.slots", [19, 18], (f"embodiment.{GRIPPER}.slots: expected 1 slots", "got 19-18")),
        (f"{GRIPPER}.slots", [54, 55], (f"embodiment.{GRIPPER}.slots: 54-55 overlaps {ARM}.slots",)),
        (f"{GRIPPER}.slots", [19, 20], (f"embodiment.{GRIPPER}.slots: expected within 18-19", "gripper", "got 19-20")),
        (f"{ARM}.slots", [57, 62], (f"embodiment.{ARM}.slots: expected within 50-57 (right or only arm", "got 57-62")),
        (f"{ARM}.slots", [76, 81], (f"embodiment.{ARM}.slots: expected within 50-57", "got 76-81")),
        (f"{ARM}.slots", [95, 100], (f"embodiment.{ARM}.slots: expected within 50-57", "got 95-100")),
        (f"{ARM}.slots", [53, 58], (f"embodiment.{ARM}.slots: expected within 50-57", "got 53-58")),
        (f"{ARM}.unit", "open_fraction", (f"embodiment.{ARM}.unit: expected rad for a group of kind arm", "grippers")),
        ("end_effectors.right.position", [9, 12], ("embodiment.end_effectors.right.position: expected within 0-9",)),
        (f"{GRIPPER}.slots", [200, 201], ("`int` <= 200", f"`embodiment.{GRIPPER}.slots[1]`")),
        (f"{GRIPPER}.slots", [-1, 0], ("`int` >= 0", f"`embodiment.{GRIPPER}.slots[0]`")),
        (f"{GRIPPER}.slots", [18], ("length 2", f"`embodiment.{GRIPPER}.slots`")),
        (f"{GRIPPER}.raw", {"at_lower": 0, "at_upper": 0, "unit": "step"}, (f"embodiment.{GRIPPER}.raw.at_upper",)),
        (
            f"{GRIPPER}.raw",
            {"at_lower": 0, "at_upper": 9, "unit": "step", "order": ["jaw"]},
            (f"embodiment.{GRIPPER}.raw.order: expected the group's joints, got ['jaw']",),
        ),
        ("end_effectors.up", {}, ("'up'",)),
        ("end_effectors.right.frame", "", ("length >= 1", "`embodiment.end_effectors.right.frame`")),
        ("end_effectors.right.groups", [], ("length >= 1", "`embodiment.end_effectors.right.groups`")),
        ("end_effectors.right.groups", ["leg"], ("embodiment.end_effectors.right.groups: expected groups", "'leg'")),
        ("end_effectors.right.groups", ["gripper"], ("end_effectors.right.groups: expected the right arm", "gripper")),
        ("end_effectors.right.position", [0, 2], ("end_effectors.right.position: expected three slots, got 0-2",)),
        ("end_effectors.right.rotation", [2, 5], ("end_effectors.right.rotation: 2-5 overlaps end_effectors.right",)),
        ("cameras", {}, ("embodiment.cameras: expected at least one",)),
        (f"{CAMERA}.width", 0, (f"`embodiment.{CAMERA}.width`",)),
        (f"{CAMERA}.fps", "20", ("Expected `int`, got `str`", f"`embodiment.{CAMERA}.fps`")),
        (
            f"{CAMERA}.fps",
            2,
            (f"embodiment.{CAMERA}.fps: expected more than 2, see observation_max_age_s (0.5), got 2",),
        ),
        (f"{CAMERA}.lens", 1, ("unknown field `lens`", f"`embodiment.{CAMERA}`")),
        (f"{CAMERA}.fovy", 180, ("`float` < 180.0", f"`embodiment.{CAMERA}.fovy`")),
        (
            f"{CAMERA}.look_at",
            [0.95, 0.0, 0.76],
            (f"embodiment.{CAMERA}.look_at: expected another point than position",),
        ),
        (f"{CAMERA}.up", [0.0, 0.0, 0.0], (f"embodiment.{CAMERA}.up: expected a direction across the optical axis",)),
        (f"{CAMERA}.up", [1.42, 0.0, 1.42], (f"embodiment.{CAMERA}.up: expected a direction across the optical axis",)),
        ("twin.table_x", [1.0, -1.0], ("embodiment.twin.table_x: expected the lower bound, then the upper one",)),
        ("twin.table_y", [1.0, 1.0], ("embodiment.twin.table_y: expected the lower bound, then the upper one",)),
        (f"{TASK}.region_x", [0.3, 0.1], (f"embodiment.{TASK}.region_x: expected the lower bound",)),
        (f"{TASK}.region_y", [0.3, 0.1], (f"embodiment.{TASK}.region_y: expected the lower bound",)),
        (f"{TASK}.speed", [0.2, 0.1], (f"embodiment.{TASK}.speed: expected the slowest", "got [0.2, 0.1]")),
        (f"{TASK}.speed", [0.0, 0.1], (f"embodiment.{TASK}.speed: expected the slowest, more than 0",)),
        (f"{TASK}.clearance", 0.04, (f"embodiment.{TASK}.clearance: expected more than a block's edge", "got 0.04")),
        (f"{TASK}.clearance", 0.3, (f"embodiment.{TASK}.clearance: expected at most 0.149 m (0.45 of", "got 0.3")),
        (f"{TASK}.region_x", [0.1, 3.1], (f"embodiment.{TASK}.region_x: expected 2 m at most", "got [0.1, 3.1]")),
        (f"{TASK}.speed", [0.1, 1e308], ("`float` <= 100", f"`embodiment.{TASK}.speed[1]`")),
        (f"{TASK}.hands", {}, ("length >= 1", f"`embodiment.{TASK}.hands`")),
        (f"{HAND}.axis", "w", ("'w'", f"`embodiment.{HAND}.axis`")),
        (f"{HAND}.direction", [0.0, 0.0, -2.0], (f"embodiment.{HAND}.direction: expected a unit vector",)),
        (f"{CUBE}.name", "red", ("embodiment.twin.objects[0].name: expected a name that nothing else has, got 'red'",)),
        (f"{CUBE}.name", "world", ("embodiment.twin.objects[0].name: expected a name that nothing else has",)),
        (f"{CUBE}.name", "floor", ("embodiment.twin.objects[0].name: expected a name that nothing else has",)),
        (f"{CUBE}.mass", 0, ("`float` > 0", "`embodiment.twin.objects[0].mass`")),
        (f"{CUBE}.half_size", [0.1, 0.0, 0.1], ("embodiment.twin.objects[0].half_size: expected more than 0",)),
        (f"{CUBE}.colour", [2.0, 0.0, 0.1, 1.0], ("embodiment.twin.objects[0].colour: expected red, green",)),
    ],
)
def test_wrong_values(path: str, value: Any, words: tuple[str, ...]) -> None:
    document = good()
    container, key = place(document, path)
    container[key] = value
    with refused(SpecError, ORIGIN, *words):
        parse(document)


def test_a_joint_of_hardly_any_range_need_not_brake_within_it() -> None:
    document = good()
    joint = document["groups"]["arm_joints"]["joints"][0]
    joint.update(lower=-0.1, upper=0.1, rest=0.0, velocity=5.0)
    assert parse(document).joints[0].velocity ** 2 / (2 * parse(document).limits.braking[0]) > 0.2


def test_commands_of_a_slow_robot_may_be_smoothed_over_a_tick() -> None:
    document = good()
    document["action_hz"] = 5
    document["groups"]["arm_joints"]["joints"][0]["jerk"] = 400.0
    parse(document)
    document["groups"]["arm_joints"]["joints"][0]["jerk"] = 370.0
    with refused(SpecError, ORIGIN, "joints[0].jerk: expected at least 380", "at most 0.2 s"):
        parse(document)


def test_a_gripper_with_a_joint_that_stays_has_no_fraction() -> None:
    document = good()
    gripper = document["groups"]["gripper"]
    gripper["joints"].append({**gripper["joints"][0], "name": "second"})
    gripper.update(slots=[44, 46], open=[1.0, 0.0], closed=[0.0, 0.0])
    with refused(SpecError, ORIGIN, f"embodiment.{GRIPPER}.closed: expected another position of second", "0.0 twice"):
        parse(document)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("format", ("missing required field `format`",)),
        ("cameras", ("missing required field `cameras`",)),
        (f"{ARM}.joints.2.rest", ("missing required field `rest`", f"`embodiment.{ARM}.joints[2]`")),
        (f"{GRIPPER}.servo", ("missing required field `servo`", f"`embodiment.{GRIPPER}`")),
        (f"{CAMERA}.fps", ("missing required field `fps`", f"`embodiment.{CAMERA}`")),
        (f"{TASK}.near", ("missing required field `near`", f"`embodiment.{TASK}`")),
        ("fallback.kind", ("missing required field `kind`", "`embodiment.fallback`")),
    ],
)
def test_missing_fields(path: str, words: tuple[str, ...]) -> None:
    document = good()
    container, key = place(document, path)
    del container[key]
    with refused(SpecError, ORIGIN, *words):
        parse(document)


def test_the_key_at_fault_is_named_among_several_of_a_kind() -> None:
    document = good()
    camera = document["cameras"]["third_person"]
    document["cameras"] = {"left": camera, "wrist": {**camera, "fps": -1}, "right": camera}
    with refused(SpecError, ORIGIN, "`embodiment.cameras.wrist.fps`"):
        parse(document)


def test_the_key_at_fault_is_named_where_several_levels_have_names() -> None:
    document = good()
    hand = document["twin"]["task"]["hands"]["right"]
    document["twin"]["task"]["hands"] = {"right": hand, "left": {**hand, "offset": [0, 0, "up"]}}
    with refused(SpecError, ORIGIN, "`embodiment.twin.task.hands.left.offset[2]`"):
        parse(document)


@pytest.mark.parametrize("section", ["groups", "cameras"])
@pytest.mark.parametrize("name", ["", "left arm", "a.b", "1st"])
def test_names_that_cannot_be_keys(section: str, name: str) -> None:
    document = good()
    document[section][name] = document[section].popitem()[1]
    with refused(SpecError, ORIGIN, f"embodiment.{section}: expected names of letters", f"got {name!r}"):
        parse(document)


def test_an_end_effector_is_moved_by_the_arm_of_its_side() -> None:
    document = good()
    right = document["end_effectors"]["right"]
    document["end_effectors"] = {"left": {**right, "position": [9, 12], "rotation": [12, 15]}}
    with refused(SpecError, "end_effectors.left.groups: expected the left arm", "'arm_joints', a right arm"):
        parse(document)


def test_a_task_is_for_sides_that_have_an_arm() -> None:
    document = good()
    hands = document["twin"]["task"]["hands"]
    hands["left"] = hands.pop("right")
    with refused(SpecError, "embodiment.twin.task.hands: expected sides that have an arm (right), got 'left'"):
        parse(document)


def test_a_hand_may_be_slower_than_actions() -> None:
    document = good()
    document["groups"]["gripper"]["command_hz"] = 8
    assert parse(document).groups["gripper"].command_hz < parse(document).action_hz


@pytest.mark.parametrize("model", ["\0x", "x" * 5000, "."])
def test_a_model_that_can_be_no_file(model: str, tmp_path: Path) -> None:
    document = good()
    document["model"] = model
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document))
    with pytest.raises(SpecError, match=r"embodiment.model: .*: cannot be read") as caught:
        load_spec(path)
    assert str(caught.value).isprintable()


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_is_changed_only_a_spec_error_comes_out(data: st.DataObject) -> None:
    document = good()
    container: Any = document
    while True:
        key = data.draw(st.sampled_from(list(container) if isinstance(container, dict) else range(len(container))))
        if isinstance(container[key], (dict, list)) and container[key] and data.draw(st.booleans()):
            container = container[key]
        else:
            break
    if data.draw(st.booleans()):
        del container[key]
    else:
        container[key] = data.draw(
            st.sampled_from([None, True, -1, 0, 1, 1e9, 10**30, 1e308, -1e308, 1e-308, "", "x", [], [1], {}, {"a": 1}])
        )
    with refused_at_most(SpecError):
        parse(document)


def test_a_fraction_is_counted_from_closed_to_open_wherever_these_are() -> None:
    document = good()
    document["groups"]["gripper"].update(open=[0.0], closed=[1.2])
    spec = parse(document)
    offset, scale = spec.groups["gripper"].slot_units
    assert (offset.tolist(), scale.tolist()) == ([1.2], [-1.2])
    adapter = EmbodimentAdapter(spec, joint_entry(spec))
    rows = np.repeat(spec.rest[None], 3, axis=0)
    rows[:, 5] = [1.2, 0.6, 0.0]
    values = adapter.actions(rows, spec.rest)
    assert values["action.gripper"][:, 0].tolist() == [0.0, 0.5, 1.0]
    told = adapter.joints({key: value.astype(np.float32) for key, value in values.items()}, spec.rest)
    np.testing.assert_allclose(told, rows, atol=1e-6)
    assert spec.groups["arm_joints"].slot_units.tolist() == [[0.0] * 5, [1.0] * 5]
