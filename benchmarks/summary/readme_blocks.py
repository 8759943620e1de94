"""The tables of the README that come from stored results: the page cannot say anything else than the files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK: Final = re.compile(r"(<!-- results: (?P<name>[a-z_]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def replace_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """A page with the content of its marked blocks made anew.

    A block begins with `<!-- results: NAME -->` and ends with `<!-- end of results -->`, each on a line of its own.

    Args:
        text: The page.
        blocks: Content by name.

    Raises:
        KeyError: The page has a block that there is no content for.
    """
    return BLOCK.sub(lambda match: f"{match[1]}{blocks[match['name']]}\n{match[3]}", text)
