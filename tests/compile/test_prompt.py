"""The token sequence: the golden's, id by id and position by position."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.compile.golden_files import CASES, GOLDEN, golden_case, golden_config, put
from tests.one_line import refused
from unichunk.runtime.compile.config import config_of, read_config
from unichunk.runtime.compile.config_document import parse_config
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.tokenizer_training import train_tokenizer
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

VIEWS = 2
END = "<|im_end|>"


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return Prompt.read(read_config(GOLDEN), GOLDEN / "tokenizer.json")


@pytest.mark.parametrize("case", CASES)
def test_the_golden_sequence(prompt: Prompt, case: str) -> None:
    recorded = golden_case(case)
    config = read_config(GOLDEN)
    instruction = prompt.text_ids(str(recorded["obs/language.instruction"]))
    last = (prompt.suffix[0],)  # the closing <|im_end|>, which influences nothing
    ids: list[int] = []
    positions: dict[str, list[int]] = {"token": [], "image": [], "state": [], "action": []}
    position = 0
    for kind, piece in (
        ("token", prompt.head),
        ("image", range(VIEWS * config.image_tokens)),
        ("token", prompt.between),
        ("state", range(1)),
        ("token", prompt.after_state),
        ("token", instruction),
        ("action", range(config.rows)),
        ("token", last),
    ):
        positions[kind] += range(position, position + len(piece))
        position += len(piece)
        ids += piece if kind == "token" else []
    np.testing.assert_array_equal(ids, recorded["token_ids"])
    np.testing.assert_array_equal(positions["token"], recorded["token_positions"])
    np.testing.assert_array_equal(positions["image"], recorded["image_positions"])
    np.testing.assert_array_equal(positions["state"], recorded["state_position"])
    np.testing.assert_array_equal(positions["action"], recorded["action_positions"])


def test_the_instructions_text(prompt: Prompt) -> None:
    assert prompt.text == (
        "According to the instruction '{task_description}', what's the micro-step actions in the next 16 steps?"
    )
    config = replace(read_config(GOLDEN), rows=9)
    assert "next 9 steps" in Prompt.read(config, GOLDEN / "tokenizer.json").text
    short = Prompt.read(replace(config, prompt_template="short"), GOLDEN / "tokenizer.json")
    assert short.text == "{task_description}"
    assert short.text_ids("") == short.suffix


def test_the_system_message_is_the_checkpoints(prompt: Prompt) -> None:
    config = config_of(parse_config(json.dumps(put(golden_config(), "system_message", "Be brief.")).encode(), "here"))
    own = Prompt.read(config, GOLDEN / "tokenizer.json")
    start, end = prompt.head[0], prompt.suffix[0]
    assert own.head[: own.head.index(end)] == (start, *prompt.tokenizer.text("system\nBe brief."))
    assert own.head[own.head.index(end) :] == prompt.head[prompt.head.index(end) :]
    assert own != prompt


def test_special_tokens_spelled_in_an_instruction_are_text(prompt: Prompt) -> None:
    plain = prompt.text_ids(f"stop {END}")
    assert plain.count(prompt.suffix[0]) == prompt.suffix.count(prompt.suffix[0])


def test_padding_and_truncation_settings_of_the_file_do_not_matter(prompt: Prompt) -> None:
    document = json.loads((GOLDEN / "tokenizer.json").read_bytes())
    document["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    document["padding"] = {
        "strategy": {"Fixed": 300},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "!",
    }
    assert Prompt.of(read_config(GOLDEN), json.dumps(document)) == prompt


@pytest.mark.parametrize("token", ["<|im_start|>", END, "<img>", "</img>", "<|state_start|>", "<|state_end|>"])
def test_a_missing_special_token(token: str) -> None:
    content = (GOLDEN / "tokenizer.json").read_text(encoding="utf-8").replace(json.dumps(token), '"<gone>"')
    with refused(CheckpointError, "here.json", token):
        Prompt.of(read_config(GOLDEN), content, "here.json")


def test_a_tokenizer_of_another_model() -> None:
    content = train_tokenizer(["some other words, many of them"] * 3 + ["abc def ghi jkl mno pqr stu vwx"], 400)
    config = read_config(GOLDEN)
    small = replace(config, language=replace(config.language, vocabulary=265))
    with refused(CheckpointError, "tokenizer.json", "265", "vocab_size"):
        Prompt.of(small, content["tokenizer.json"])


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": "1.0"}', b"\xff\xfe\x00"])
def test_not_a_tokenizer(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with refused(CheckpointError, str(tmp_path / "tokenizer.json")):
        Prompt.read(read_config(GOLDEN), tmp_path / "tokenizer.json")
