"""What every refusal of this project owes its reader: the right error, in one line, with the facts in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def refused(error: type[Exception], *words: str) -> Iterator[None]:
    """The block raises exactly this error, its message is one line of sensible length and holds all these words."""
    with pytest.raises(error) as caught:
        yield
    assert caught.type is error
    message = str(caught.value)
    assert "\n" not in message
    assert 20 < len(message) < 600, message
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"


@contextmanager
def refused_at_most(error: type[Exception]) -> Iterator[None]:
    """The block may go well or raise this error, in one line; nothing else."""
    message = ""
    try:
        yield
    except error as caught:
        message = str(caught)
        if not message:
            raise
    assert "\n" not in message
