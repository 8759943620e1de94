"""Specs that are wrong: each gets one line with the path of the key."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from unichunk.embodiments.errors import SpecError, UnknownEmbodiment
from unichunk.embodiments.spec import embodiment_names, load_spec, parse_spec

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


@pytest.mark.parametrize("name", ["", "so100", "SO101", "../specs/so101", "so101.json"])
def test_unknown_embodiments_learn_the_known_ones(name: str) -> None:
    with refused(UnknownEmbodiment, f"unknown embodiment {name!r}", *embodiment_names(), "unichunk embodiments"):
        load_spec(name)


@pytest.mark.parametrize("text", [b"", b"{", b"name: so101", b"\xff\xfe", b'{"name": "\xff"}', b"[" * 9000])
def test_not_json(text: bytes) -> None:
    with refused(SpecError, ORIGIN, "not JSON"):
        parse_spec(text, ORIGIN)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format", 2, ("embodiment.format: expected 1, got 2",)),
        ("name", 101, ("Expected `str`, got `int`", "`embodiment.name`")),
        ("action_hz", 0, ("`embodiment.action_hz`",)),
        ("action_hz", 2.5, ("Expected `int`, got `float`", "`embodiment.action_hz`")),
        ("command_hz", 20_000, ("Expected `int` <= 10000", "`embodiment.command_hz`")),
        ("command_hz", 10, ("embodiment.command_hz: expected at least action_hz (20), got 10",)),
        ("joints", [], ("length >= 1", "`embodiment.joints`")),
        ("joints.3.velocity", -1, ("`float` > 0", "`embodiment.joints[3].velocity`")),
        ("joints.3.acceleration", 0, ("`float` > 0", "`embodiment.joints[3].acceleration`")),
        ("joints.0.lower", "low", ("Expected `float`, got `str`", "`embodiment.joints[0].lower`")),
        ("joints.2.lower", 1.69, ("embodiment.joints[2].upper: expected more than lower (1.69), got 1.69",)),
        ("joints.2.lower", 2.0, ("embodiment.joints[2].upper: expected more than lower (2.0), got 1.69",)),
        ("joints.4.rest", 3.0, ("embodiment.joints[4].rest: expected within the limits, got 3.0",)),
        ("joints.1.name", "shoulder_pan", ("embodiment.joints: expected different names",)),
        ("joints.1.name", "elbow", ("embodiment.groups: expected every joint in exactly one group", "elbow")),
        ("joints.1.mass", 1, ("unknown field `mass`", "`embodiment.joints[1]`")),
        ("groups", {}, ("embodiment.groups: expected every joint in exactly one group, got []",)),
        ("groups.gripper.joints", [], ("length >= 1", "`embodiment.groups.gripper.joints`")),
        ("groups.gripper.joints", ["gripper", "gripper"], ("embodiment.groups: expected every joint in exactly one",)),
        ("groups.gripper.joints", ["thumb"], ("embodiment.groups: expected every joint in exactly one", "thumb")),
        ("groups.gripper.slots", [18, 20], ("embodiment.groups.gripper.slots: expected 1 slots", "got 18-20")),
        ("groups.gripper.slots", [19, 18], ("embodiment.groups.gripper.slots: expected 1 slots", "got 19-18")),
        ("groups.gripper.slots", [54, 55], ("embodiment.groups.gripper.slots: 54-55 overlaps another group",)),
        ("groups.gripper.slots", [200, 201], ("`int` <= 200", "`embodiment.groups.gripper.slots[1]`")),
        ("groups.gripper.slots", [-1, 0], ("`int` >= 0", "`embodiment.groups.gripper.slots[0]`")),
        ("groups.gripper.slots", [18], ("length 2", "`embodiment.groups.gripper.slots`")),
        ("groups.arm_joints.unit", "degrees", ("'degrees'", "`embodiment.groups.arm_joints.unit`")),
        ("cameras.third_person.width", 0, ("`embodiment.cameras.third_person.width`",)),
        ("cameras.third_person.fps", "20", ("Expected `int`, got `str`", "`embodiment.cameras.third_person.fps`")),
        ("cameras.third_person.lens", 1, ("unknown field `lens`", "`embodiment.cameras.third_person`")),
        ("fallback", {"kind": "panic"}, ("'panic'", "`embodiment.fallback.kind`")),
        ("fallback", {"kind": "ramp"}, ("missing required field `velocity_fraction`", "`embodiment.fallback`")),
        ("fallback", {"kind": "ramp", "velocity_fraction": 2}, ("<= 1", "`embodiment.fallback.velocity_fraction`")),
        ("watchdog_s", -0.1, ("`float` > 0", "`embodiment.watchdog_s`")),
        ("delay_margin_ticks", 0, ("`int` >= 1", "`embodiment.delay_margin_ticks`")),
        ("minimum_postfix_ticks", 0, ("`int` >= 1", "`embodiment.minimum_postfix_ticks`")),
        ("speed", 1, ("unknown field `speed`",)),
    ],
)
def test_wrong_values(path: str, value: Any, words: tuple[str, ...]) -> None:
    document = good()
    container, key = place(document, path)
    container[key] = value
    with refused(SpecError, ORIGIN, *words):
        parse(document)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("format", ("missing required field `format`",)),
        ("tool_frame", ("missing required field `tool_frame`",)),
        ("joints.2.rest", ("missing required field `rest`", "`embodiment.joints[2]`")),
        ("groups.gripper.unit", ("missing required field `unit`", "`embodiment.groups.gripper`")),
        ("cameras.third_person.fps", ("missing required field `fps`", "`embodiment.cameras.third_person`")),
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
        container[key] = data.draw(st.sampled_from([None, True, -1, 0, 1, 1e9, 10**30, "", "x", [], [1], {}, {"a": 1}]))
    with refused_at_most(SpecError):
        parse(document)
