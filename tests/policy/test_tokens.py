"""Instructions to token ids, with the tokenizer of a published checkpoint where its answers were recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from tests.policy.golden import CASES, FOLDER, golden
from tests.policy.tiny_tokenizer import SPECIAL, write_tiny_tokenizer
from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy.manifest import LanguageInput
from unichunk.runtime.policy.tokens import InstructionTokenizer

if TYPE_CHECKING:
    from pathlib import Path

LONG = "According to the instruction '{task_description}', what's the micro-step actions in the next 16 steps?"


def published(max_tokens: int = 64, prompt: str = LONG, suffix: tuple[int, ...] = ()) -> InstructionTokenizer:
    settings = LanguageInput(tokenizer="tokenizer.json", prompt=prompt, suffix=suffix, max_tokens=max_tokens)
    return InstructionTokenizer(FOLDER / "tokenizer.json", settings)


def special(name: str) -> int:
    return int(
        {
            token["content"]: token["id"]
            for token in json.loads((FOLDER / "tokenizer.json").read_text())["added_tokens"]
        }[name]
    )


@pytest.mark.parametrize("case", CASES)
def test_the_recorded_ids(case: str) -> None:
    recorded = golden(case)
    ids = recorded["token_ids"].tolist()
    # Behind the state: the prompt, <|im_end|>, "\n", <|im_start|>, "assistant\n", and the last <|im_end|>.
    tail = ids[ids.index(special("<|state_end|>")) + 1 : -1]
    end = tail.index(special("<|im_end|>"))
    tokens = published(suffix=tuple(tail[end:]))(str(recorded["obs/language.instruction"]))
    assert tokens.shape == (1, 64)
    assert tokens.dtype == np.int64
    assert tokens[0, : len(tail)].tolist() == tail
    assert (tokens[0, len(tail) :] == -1).all()


@pytest.fixture
def tokenizer(tmp_path: Path) -> InstructionTokenizer:
    """A token a byte: ids say which."""
    path = write_tiny_tokenizer(tmp_path / "tokenizer.json")
    return InstructionTokenizer(
        path, LanguageInput(tokenizer=path.name, prompt="do {task_description}!", suffix=(257, 7), max_tokens=40)
    )


def test_prompt_instruction_suffix_and_padding(tokenizer: InstructionTokenizer) -> None:
    empty, one = tokenizer("")[0], tokenizer("it")[0]
    assert (empty >= 0).sum() == len("do !") + 2
    assert empty[:3].tolist() == one[:3].tolist()
    assert empty[3] == one[5]
    assert one[6:8].tolist() == [257, 7]
    assert (one[8:] == -1).all()


@pytest.mark.parametrize("name", SPECIAL)
def test_special_tokens_in_an_instruction_are_text(tokenizer: InstructionTokenizer, name: str) -> None:
    ids = tokenizer(f"a{name}b")[0]
    text = ids[: 6 + len(name)]
    assert (text < 256).all()
    assert ids[len(text) : len(text) + 2].tolist() == [257, 7]


@pytest.mark.parametrize("name", ["<|im_end|>", "<|im_start|>", "<img>", "<|state_end|>", "<IMG_CONTEXT>"])
def test_special_tokens_in_an_instruction_are_text_to_a_published_tokenizer(name: str) -> None:
    ids = published()(f"go {name} now")
    assert special(name) not in ids


@pytest.mark.parametrize(
    "text", ["{task_description}", "{k}", "{", "%s", "\\n", "\0", "é", "e\u0301", "\U0001f916", "  "]
)
def test_nothing_in_an_instruction_is_a_command(tokenizer: InstructionTokenizer, text: str) -> None:
    import unicodedata

    length = len(unicodedata.normalize("NFC", text).encode())
    assert (tokenizer(text)[0] >= 0).sum() == len("do !") + length + 2


@settings(deadline=None, max_examples=30)
@given(text=st.text(max_size=12))
def test_the_last_instruction_is_remembered_and_no_other(text: str) -> None:
    first = published(200)
    ids = first(text).copy()
    assert first(text) is first(text)
    assert (first(text) == ids).all()
    first(text + "x")
    assert (first(text) == ids).all()
    assert (published(200)(text) == ids).all()


def test_answers_cannot_be_spoiled(tokenizer: InstructionTokenizer) -> None:
    with pytest.raises(ValueError, match="read-only"):
        tokenizer("it")[0, 0] = 3


def test_the_longest_instruction_that_fits(tokenizer: InstructionTokenizer) -> None:
    assert (tokenizer("x" * 34) >= 0).all()
    with refused(
        ObservationError, "language.instruction: 41 tokens with its prompt", "at most 40", "about 34", "shorten it"
    ):
        tokenizer("x" * 35)


def test_no_room_for_any_instruction(tmp_path: Path) -> None:
    path = write_tiny_tokenizer(tmp_path / "words.json")
    settings = LanguageInput(tokenizer=path.name, prompt="do {task_description}!", suffix=(257, 7), max_tokens=5)
    with refused(BundleError, "words.json", "prompt without an instruction is 6 tokens", "language.max_tokens is 5"):
        InstructionTokenizer(path, settings)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1", b"\xff\x00", b'{"version": "9.9"}', b'{"model": {"type": "Oracle"}}']
)
def test_a_file_that_is_no_tokenizer(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    settings = LanguageInput(tokenizer="tokenizer.json", prompt="{task_description}", suffix=(), max_tokens=5)
    with refused(BundleError, str(tmp_path / "tokenizer.json"), "not a tokenizer", "build the bundle again"):
        InstructionTokenizer(tmp_path / "tokenizer.json", settings)


def test_a_text_of_numpy_is_a_text(tokenizer: InstructionTokenizer) -> None:
    expected = tokenizer("follow it")
    np.testing.assert_array_equal(tokenizer(np.array("follow it")), expected)
    np.testing.assert_array_equal(tokenizer(np.str_("follow it")), expected)
