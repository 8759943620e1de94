"""From an instruction to token ids, as the checkpoint's own tokenizer makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer as TokenizerModel

from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy.bundle import REMEDY
from unichunk.runtime.policy.manifest import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import LanguageInput

PADDING = -1
"""Where there is no token."""


class InstructionTokenizer:
    """Puts an instruction in its prompt and turns it into token ids, the suffix behind them.

    Special tokens come from the bundle alone: an instruction that spells one out is text like any other.

    Args:
        path: The file that the `tokenizers` library reads.
        settings: Prompt, suffix and length.

    Raises:
        BundleError: Where the file is no tokenizer, or not even an empty instruction fits.
    """

    def __init__(self, path: Path, settings: LanguageInput) -> None:
        self._settings = settings
        self._last: tuple[str, NDArray[np.int64]] | None = None
        try:
            self._model = TokenizerModel.from_file(str(path))
            self._model.encode_special_tokens = True
            self._model.no_padding()
            self._model.no_truncation()
            shortest = len(self._ids(""))
        except Exception as error:  # noqa: BLE001 - the library raises nothing more specific
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise BundleError(f"{path}: not a tokenizer that can be read: {first_line}; {REMEDY}") from None
        if shortest > settings.max_tokens:
            raise BundleError(
                f"{path}: the prompt without an instruction is {shortest} tokens, "
                f"language.max_tokens is {settings.max_tokens}; {REMEDY}"
            )
        self._room = settings.max_tokens - shortest

    def __call__(self, instruction: Any) -> NDArray[np.int64]:
        """Token ids of an instruction, shape (1, max_tokens), padded with -1; not to be written to.

        Raises:
            ObservationError: Where it is no text, nor a list, tuple or array of one, or too long.
        """
        instruction = _text(instruction)
        if self._last is not None and self._last[0] == instruction:
            return self._last[1]
        try:
            instruction.encode()
        except UnicodeEncodeError as error:
            raise ObservationError(f"language.instruction: expected a text that UTF-8 can hold: {error}") from None
        ids = self._ids(instruction)
        longest = self._settings.max_tokens
        if len(ids) > longest:
            raise ObservationError(
                f"language.instruction: {len(ids)} tokens with its prompt, expected at most {longest}, which leaves "
                f"about {self._room} for the instruction; shorten it"
            )
        tokens = np.full((1, longest), PADDING, np.int64)
        tokens[0, : len(ids)] = ids
        tokens.flags.writeable = False
        # One at a time: an instruction stays for a whole task.
        self._last = instruction, tokens
        return tokens

    def text(self, ids: Sequence[int]) -> str:
        """What token ids say, without special tokens."""
        text: str = self._model.decode(list(ids), skip_special_tokens=True)
        return text

    def _ids(self, instruction: str) -> list[int]:
        text = self._settings.prompt.replace(PLACEHOLDER, instruction)
        return [*self._model.encode(text, add_special_tokens=False).ids, *self._settings.suffix]


def _text(instruction: Any) -> str:
    """An instruction as recordings (array of no dimensions) and published clients (list of one) hold it."""
    text = instruction.tolist() if isinstance(instruction, np.ndarray) else instruction
    if isinstance(text, list | tuple) and len(text) == 1:
        text = text[0]
    if not isinstance(text, str):
        found = type(text).__name__ + (f" of {len(text)}" if isinstance(text, list | tuple) else "")
        raise ObservationError(f"language.instruction: expected a text, got {found}")
    return text
