"""Lists of names in messages: what exists where something does not, short enough for one line."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN: Final = 8


def listed(names: Iterable[str]) -> str:
    """The names in their order, all of them where they are few: `a, b, c and 5 more`."""
    names = list(names)
    shown, more = names[:_SHOWN], len(names) - _SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def instead_of(wrong: str, names: Iterable[str]) -> str:
    """What to say after an unknown name: those that are written nearly like it, or else those that exist."""
    names = sorted(set(names))
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[match] for match in get_close_matches(wrong.lower(), by_lower, n=5)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"expected one of {listed(names)}" if names else "there is none"
