"""The token sequence of an observation: what stands where, and what is known of it at compile time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKED: Final = -1e9
"""Added to a score that must not count: its exponential is 0 in float32."""


@dataclass(frozen=True)
class TokenSequence:
    """Head, images, ids, STATE, ids, text, ACTION x T; positions 0, 1, ... in this order.

    The last end-of-turn token follows the actions and influences nothing, so it is left out.

    Attributes:
        head: Token ids before the images.
        views, image_tokens: Views, and tokens of each.
        between: Token ids between the images and the state.
        after_state: Token ids between the state and the text.
        max_text: L, longest text; shorter ones are padded with -1. The text is the instruction in its prompt and what
            follows it before the actions.
        rows: T, action tokens.
    """

    head: tuple[int, ...]
    views: int
    image_tokens: int
    between: tuple[int, ...]
    after_state: tuple[int, ...]
    max_text: int
    rows: int

    @property
    def images(self) -> int:
        """Image tokens of all views."""
        return self.views * self.image_tokens

    @property
    def state_position(self) -> int:
        """Position of STATE."""
        return len(self.head) + self.images + len(self.between)

    @property
    def text_position(self) -> int:
        """Position of the first token of the text, and number of tokens before it."""
        return self.state_position + 1 + len(self.after_state)

    @property
    def prefix(self) -> int:
        """P, tokens before the actions, with the padded text."""
        return self.text_position + self.max_text

    @property
    def tokens(self) -> int:
        """Tokens of the longest sequence."""
        return self.prefix + self.rows

    @property
    def language_positions(self) -> NDArray[np.int64]:
        """Positions of the tokens behind the head that the language model's weights see, (n,)."""
        return np.setdiff1d(np.arange(len(self.head), self.prefix), [self.state_position])

    @property
    def key_positions(self) -> NDArray[np.int64]:
        """Positions in the order in which keys and values are kept: head, language, STATE last, (P,)."""
        return np.concatenate([np.arange(len(self.head)), self.language_positions, [self.state_position]])


def causal_mask(asking: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.float32]:
    """0 where a token may look, `MASKED` at later positions, (asking, asked)."""
    return np.where(asked[None, :] <= asking[:, None], 0.0, MASKED).astype(np.float32)
