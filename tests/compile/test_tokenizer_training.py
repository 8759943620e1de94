"""Trained tokenizers: Qwen2's form, the same every time, nothing lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from tests.compile.golden_files import GOLDEN
from tests.one_line import refused
from unichunk.runtime.compile.tokenizer_training import (
    SMALLEST_VOCABULARY,
    SPECIAL_TOKENS,
    TOKENIZER_FILES,
    read_tokenizer_files,
    train_tokenizer,
)
from unichunk.runtime.errors import CheckpointError

TEXTS = [f"follow the {colour} block, please: it's number {n}" for colour in ("red", "blue") for n in range(20)]
FILES = train_tokenizer(TEXTS, 320)
TRAINED = Tokenizer.from_str(FILES["tokenizer.json"])


def test_files_and_repetition() -> None:
    assert tuple(FILES) == TOKENIZER_FILES
    assert train_tokenizer(iter(TEXTS), 320) == FILES


def test_the_form_is_the_goldens() -> None:
    golden = json.loads((GOLDEN / "tokenizer.json").read_bytes())
    trained = json.loads(FILES["tokenizer.json"])
    for part in ("version", "truncation", "padding", "normalizer", "pre_tokenizer"):
        assert trained[part] == golden[part], part
    for part in ("type", "dropout", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges"):
        assert trained["model"][part] == golden["model"][part], part
    for ours, theirs in zip(trained["added_tokens"], golden["added_tokens"], strict=True):
        assert {**ours, "id": 0} == {**theirs, "id": 0}
    config = json.loads(FILES["tokenizer_config.json"])
    theirs = json.loads((GOLDEN / "tokenizer_config.json").read_bytes())
    for name in ("eos_token", "pad_token", "tokenizer_class", "clean_up_tokenization_spaces", "errors"):
        assert config[name] == theirs[name]
    assert sorted(config["additional_special_tokens"]) == sorted(theirs["additional_special_tokens"])


def test_special_tokens_come_last_and_every_byte_is_there() -> None:
    size = TRAINED.get_vocab_size(with_added_tokens=True)
    assert 256 + len(SPECIAL_TOKENS) < size <= 320
    assert [TRAINED.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(size - len(SPECIAL_TOKENS), size))
    assert json.loads(FILES["added_tokens.json"]) == {token: TRAINED.token_to_id(token) for token in SPECIAL_TOKENS}
    assert len(train_tokenizer([], SMALLEST_VOCABULARY)["merges.txt"].splitlines()) == 1


def test_vocabulary_and_merges_are_the_same_tokenizer(tmp_path: object) -> None:
    vocabulary = json.loads(FILES["vocab.json"])
    header, *lines = FILES["merges.txt"].splitlines()
    assert header == "#version: 0.2"
    assert len(vocabulary) == 256 + len(lines)
    rebuilt = Tokenizer.from_str(FILES["tokenizer.json"])
    rebuilt.model = models.BPE(vocabulary, [(a, b) for a, b in (line.split(" ") for line in lines)])
    for text in TEXTS[::7]:
        assert rebuilt.encode(text).ids == TRAINED.encode(text).ids


def test_it_learns_its_words() -> None:
    assert len(TRAINED.encode("follow the red block").ids) == 4


@given(st.text(max_size=40))
def test_nothing_is_lost(text: str) -> None:
    normal = TRAINED.normalizer.normalize_str(text)
    assert TRAINED.decode(TRAINED.encode(text).ids, skip_special_tokens=False) == normal


def test_too_small() -> None:
    with refused(CheckpointError, "264", str(SMALLEST_VOCABULARY)):
        train_tokenizer(TEXTS, SMALLEST_VOCABULARY - 1)


@pytest.mark.parametrize("name", TOKENIZER_FILES)
def test_files_of_an_existing_one(name: str) -> None:
    assert read_tokenizer_files(GOLDEN)[name] == (GOLDEN / name).read_text(encoding="utf-8")
