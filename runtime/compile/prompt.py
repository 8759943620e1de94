r"""The token sequence around images, state and instruction, as the checkpoint's tokenizer writes it.

    <|im_start|> "system\n" + system message <|im_end|> "\n"
    <|im_start|> "user\n" <img> IMAGES </img> <|state_start|> STATE <|state_end|> instruction <|im_end|> "\n"
    <|im_start|> "assistant\n" ACTIONS

Each piece of text is tokenized on its own; the special tokens are put between the pieces by their ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from unichunk.runtime.compile.templates import INSTRUCTIONS
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import PLACEHOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.compile.config import BeingHConfig


class PromptTokenizer:
    """A checkpoint's tokenizer, as far as compiling needs it.

    Args:
        content: Content of `tokenizer.json`.
        vocabulary: Rows of the token embedding; larger ids are refused.
        where: The file's name, for messages.

    Raises:
        CheckpointError: Not a tokenizer, or not this model's.
    """

    def __init__(self, content: str, vocabulary: int, where: str) -> None:
        self._where = where
        try:
            self._model = Tokenizer.from_str(content)
        except Exception as error:  # noqa: BLE001  (the library raises nothing more specific)
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(f"{where} is not a tokenizer that can be read: {first_line}") from None
        self._model.encode_special_tokens = True
        self._model.no_padding()
        self._model.no_truncation()
        largest = max(self._model.get_vocab(with_added_tokens=True).values(), default=-1)
        if largest >= vocabulary:
            raise CheckpointError(
                f"{where} has token id {largest}, but the model's vocabulary (llm_config.vocab_size) is {vocabulary}; "
                f"use the tokenizer of this checkpoint"
            )

    def text(self, text: str) -> tuple[int, ...]:
        """Ids of a piece of text; a special token spelled in it is text like any other."""
        return tuple(self._model.encode(text, add_special_tokens=False).ids)

    def special(self, token: str) -> int:
        """Id of a special token.

        Raises:
            CheckpointError: The tokenizer does not have it.
        """
        index: int | None = self._model.token_to_id(token)
        if index is None:
            raise CheckpointError(f"{self._where} has no special token {token}, which Being-H's token sequence needs")
        return index


@dataclass(frozen=True)
class Prompt:
    """Token ids of everything that is not an observation.

    Attributes:
        head: Before the image tokens, `<img>` included.
        between: From the image tokens to the state token: `</img> <|state_start|>`.
        after_state: From the state token to the instruction: `<|state_end|>`.
        text: The instruction's text, to be tokenized once `{task_description}` is replaced.
        suffix: From the instruction to the action tokens.
        end: Ends a turn, and what the assistant writes.
        tokenizer: What made them.
    """

    head: tuple[int, ...]
    between: tuple[int, ...]
    after_state: tuple[int, ...]
    text: str
    suffix: tuple[int, ...]
    end: int
    tokenizer: PromptTokenizer = field(repr=False, compare=False)

    @classmethod
    def of(cls, config: BeingHConfig, tokenizer: str, where: str = "tokenizer.json") -> Prompt:
        """The prompt of a model.

        Args:
            config: Its system message, prompt template, chunk length and vocabulary.
            tokenizer: Content of its `tokenizer.json`.
            where: The file's name, for messages.

        Raises:
            CheckpointError: Not a tokenizer, or one without a special token that is needed.
        """
        made = PromptTokenizer(tokenizer, config.language.vocabulary, where)
        text, special = made.text, made.special
        start, end = special("<|im_start|>"), special("<|im_end|>")
        newline = text("\n")
        system = text(f"system\n{config.system_message}")
        return cls(
            head=(start, *system, end, *newline, start, *text("user\n"), special("<img>")),
            between=(special("</img>"), special("<|state_start|>")),
            after_state=(special("<|state_end|>"),),
            text=INSTRUCTIONS[config.prompt_template].replace("{k}", str(config.rows)),
            suffix=(end, *newline, start, *text("assistant\n")),
            end=end,
            tokenizer=made,
        )

    @classmethod
    def read(cls, config: BeingHConfig, file: Path) -> Prompt:
        """The same from a checkpoint's `tokenizer.json`."""
        try:
            content = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from error
        return cls.of(config, content, str(file))

    def text_ids(self, instruction: str) -> tuple[int, ...]:
        """Token ids from the state token's closing one to the actions: the instruction in its text, then the suffix."""
        return (*self.tokenizer.text(self.text.replace(PLACEHOLDER, instruction)), *self.suffix)
