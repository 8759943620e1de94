"""A tokenizer of the tiny policy: byte-level as the published ones are, a token a byte, and a few special tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel

if TYPE_CHECKING:
    from pathlib import Path

SPECIAL: Final = ("<|im_start|>", "<|im_end|>", "<img>", "</img>")

SUFFIX: Final = (257, 256)
"""Token ids behind an instruction: `<|im_end|>`, `<|im_start|>`."""


def write_tiny_tokenizer(path: Path) -> Path:
    """Write the tokenizer's file: ids 0-255 are bytes in the order of their letters, then the special tokens."""
    vocabulary = {letter: i for i, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.save(str(path))
    return path
