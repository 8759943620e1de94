"""Descriptions of robots: what parses, and what is refused with the path of the key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from unichunk.kinematics.description import Part, parse_description, robot_description, robot_names
from unichunk.kinematics.errors import DescriptionError, UnknownModel

WHOLE = {
    "parts": [
        {"urdf": "arm.urdf"},
        {"urdf": "claw.urdf", "parent": "lower", "xyz": [0, 0.5, 1], "rpy": [0, 0, 3.1], "prefix": "a_", "joint": "j"},
    ],
    "remove": ["knob", "cover"],
    "fixed": {"a_slide": 0.1},
    "end_effectors": {"right": "lower"},
    "hands": {"right": {"palm": "a_palm", "fingertips": {"thumb": "a_thumb", "index": "a_nail"}}},
    "cameras": {"wrist": "knob"},
    "self_collision": [["base", "lower"]],
    "notes": ["the claw's place is a guess"],
}


def parsed(document):
    return parse_description(json.dumps(document).encode(), "robots/small.json")


def test_a_whole_description_parses():
    description = parsed(WHOLE)
    assert description.parts == (
        Part(urdf="arm.urdf"),
        Part(urdf="claw.urdf", parent="lower", xyz=(0, 0.5, 1), rpy=(0, 0, 3.1), prefix="a_", joint="j"),
    )
    assert description.remove == ("knob", "cover")
    assert description.hands["right"].fingertips == {"thumb": "a_thumb", "index": "a_nail"}
    assert description.self_collision == (("base", "lower"),)


def test_only_the_parts_are_required():
    description = parsed({"parts": [{"urdf": "arm.urdf"}]})
    assert (description.fixed, description.hands, description.cameras, description.notes) == ({}, {}, {}, ())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parts": []}, ["robot.parts", "length"]),
        ({"parts": [{"urdf": 3}]}, ["robot.parts[0].urdf", "str"]),
        ({"parts": [{"urdf": "arm.urdf", "xyz": [1, 2, 3]}]}, ["robot.parts[0]", "first part"]),
        ({"parts": [{"urdf": "arm.urdf", "parent": "world"}]}, ["robot.parts[0]", "parent"]),
        ({"parts": [{"urdf": "arm.urdf"}, {"urdf": "claw.urdf"}]}, ["robot.parts[1].parent", "claw.urdf"]),
        ({"parts": [{"urdf": "arm.urdf"}, {"urdf": "c", "parent": "b", "xyz": [1, 2]}]}, ["robot.parts[1].xyz"]),
        ({"part": []}, ["part"]),
        ({"fixed": {"a_slide": "open"}}, ["robot.fixed", "float"]),
        ({"end_effectors": {"middle": "lower"}}, ["robot.end_effectors", "middle"]),
        ({"hands": {"left": {"palm": "palm", "fingertips": {}}}}, ["fingertips", "length"]),
        ({"hands": {"left": {"palm": "palm", "fingertips": {"toe": "x"}}}}, ["fingertips", "toe"]),
        ({"self_collision": [["base", "lower"], ["base", "base"]]}, ["robot.self_collision[1]", "base"]),
        ({"self_collision": [["base"]]}, ["robot.self_collision[0]", "length 2"]),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(change, words):
    with refused(DescriptionError, "robots/small.json", *words):
        parsed(WHOLE | change)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"parts": ' + b"[" * 100_000, b"\xff"])
def test_what_is_no_description_is_refused(text):
    with refused(DescriptionError, "robots/small.json"):
        parse_description(text, "robots/small.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["parts", "urdf", "parent", "xyz", "fixed", "remove"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_no_document_does_worse_than_a_line(document):
    with refused_at_most(DescriptionError):
        parsed(document)


def test_the_shipped_ones_are_listed_and_parse():
    assert len(robot_names()) >= 18
    assert list(robot_names()) == sorted(robot_names())
    for name in robot_names():
        robot_description(name)


def test_an_unknown_robot_is_refused_with_those_like_it():
    with refused(UnknownModel, "g1_06", "g1_o6"):
        robot_description("g1_06")
    with refused(UnknownModel, "pr2", "expected one of", "adam_u"):
        robot_description("pr2")
