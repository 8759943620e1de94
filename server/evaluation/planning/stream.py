"""Random numbers from a key: whoever has the key draws the same ones again, whoever has not cannot guess the next.

HMAC-SHA256 of a counter, as in the "counter mode" of NIST SP 800-108: a pseudo-random function of the key, so that
no drawn number tells anything about another one.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES: Final = 32
"""Length of a stream's key, and of the seed of a campaign."""

_WORD_BYTES: Final = 8
_WORDS: Final = 1 << (8 * _WORD_BYTES)

T = TypeVar("T")


class Stream:
    """An endless stream of words of 64 bits.

    Args:
        key: 32 bytes that nobody knows who must not know what is drawn.
        purpose: Streams of one key for several purposes are independent of each other.

    Raises:
        ValueError: For a key of another length.
    """

    def __init__(self, key: bytes, purpose: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"key of a stream: expected {KEY_BYTES} bytes, got {len(key)}")
        self._key = key
        # With its length: no purpose's blocks are another one's, whatever the counter is.
        self._purpose = len(purpose.encode()).to_bytes(4, "big") + purpose.encode()
        self._counter = 0
        self._block = b""

    def below(self, bound: int) -> int:
        """A whole number, each of 0 .. bound - 1 with the same probability.

        Words from the incomplete last multiple of the bound are thrown away (Knuth, TAOCP 2, 3.4.1): their remainders
        would favour small numbers.

        Raises:
            ValueError: For a bound below 1 or above 2^64.
        """
        if not 1 <= bound <= _WORDS:
            raise ValueError(f"bound of a random number: expected 1 to 2^64, got {bound}")
        limit = _WORDS - _WORDS % bound
        while (word := self._word()) >= limit:
            pass
        return word % bound

    def shuffled(self, items: Sequence[T]) -> tuple[T, ...]:
        """The items in random order, each order with the same probability (Fisher and Yates; TAOCP 2, 3.4.2 P)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return tuple(order)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items.

        Raises:
            ValueError: Where there is none.
        """
        return items[self.below(len(items))]

    def _word(self) -> int:
        if not self._block:
            message = self._purpose + self._counter.to_bytes(8, "big")
            self._block = hmac.digest(self._key, message, hashlib.sha256)
            self._counter += 1
        word, self._block = self._block[:_WORD_BYTES], self._block[_WORD_BYTES:]
        return int.from_bytes(word, "big")
