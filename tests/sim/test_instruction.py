"""What an instruction asks for, and that unclear ones are refused with a line."""

from __future__ import annotations

import pytest

from tests.one_line import refused
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.hands import POSTURES
from unichunk.embodiments.sim.instruction import INSTRUCTIONS, Asked, InstructionUnclear, parse_instruction


@pytest.mark.parametrize(
    ("instruction", "asked"),
    [
        ("follow the red block", Asked("red")),
        ("Follow the BLUE block!", Asked("blue")),
        ("red", Asked("red")),
        ("hover over the blue_cube, then blue again: blue.", Asked("blue")),
        ("not the reddish one, the blue one", Asked("blue")),
        ("follow the red block with an open hand", Asked("red", "open")),
        ("with closed hands, follow the blue block", Asked("blue", "closed")),
        ("Red, OPEN gripper", Asked("red", "open")),
        ("red, gripper closed", Asked("red", "closed")),
        ("follow the blue one, fingers wide open", Asked("blue", "open")),
        ("close the hand and follow the red block", Asked("red", "closed")),
        ("follow the red block with your right hand", Asked("red")),
    ],
)
def test_an_instruction_names_a_block_and_perhaps_a_posture(instruction, asked):
    assert parse_instruction(instruction) == asked


def test_every_way_to_ask_is_understood():
    for posture in POSTURES:
        for block in BLOCKS:
            assert parse_instruction(INSTRUCTIONS[posture].format(block=block)) == Asked(block, posture)


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("follow the block", "neither"),
        ("", "neither"),
        ("be bored, it is already covered", "neither"),
        ("follow the red block, not the blue one", "both"),
        ("x" * 5000, "neither"),
        ("two\nlines", "neither"),
    ],
)
def test_an_instruction_that_names_no_block_or_both_is_refused(instruction, words):
    with refused(InstructionUnclear, words, "red or blue", "follow the red block"):
        parse_instruction(instruction)


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("follow the red block with a hand that is neither open nor closed", "both"),
        ("follow the blue block in the open", "open without a hand"),
        ("keep closed to red", "closed without a hand"),
    ],
)
def test_an_instruction_that_is_unclear_about_the_hand_is_refused(instruction, words):
    with refused(InstructionUnclear, words, "open hand"):
        parse_instruction(instruction)
