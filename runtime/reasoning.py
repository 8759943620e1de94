"""Policies that write text before they act: what the runtime needs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

THOUGHT_KEY: Final = "language.thought"
"""Where a policy finds the text that it shall act on, in an observation; absent while there is none."""


class Reasoner(Protocol):
    """Writes a thought, a little at a time, so that whoever asks can do something else in between.

    The policy decides for itself whether there is anything to think about: its first token may say that there is not.
    """

    @property
    def most_steps(self) -> int:
        """Steps after which a thought that has not ended is given up, at least 1."""
        ...

    def begin(self, observation: Mapping[str, Any]) -> None:
        """Begin a thought on an observation; one that was under way is forgotten."""
        ...

    def step(self) -> str | None:
        """Write a token or a few.

        Returns:
            None while it goes on; the text at its end, empty where there was nothing to think about.
        """
        ...
