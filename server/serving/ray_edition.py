"""What is served under a name at the moment, said so that every replica and every front means the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import Meta

from unichunk.server.serving.source import PolicySource  # noqa: TC001  (msgspec resolves it)

if TYPE_CHECKING:
    from collections.abc import Iterable


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """A policy under a name; a swap makes the next one.

    Attributes:
        number: How often the policy of this name was replaced.
        source: What is loaded, with the name.
    """

    source: PolicySource
    number: Annotated[int, Meta(ge=0)] = 0

    @property
    def name(self) -> str:
        """Under which it is served."""
        return self.source.name

    @property
    def model_id(self) -> str:
        """For Ray's multiplexing: it says all that a replica must know to load it, and no client has a say in it."""
        return msgspec.json.encode(self).decode()


Editions: TypeAlias = dict[str, Edition]
"""Name -> what is served under it. The order is that of the command line: the first is the default."""

_EDITION = msgspec.json.Decoder(Edition)
_EDITIONS = msgspec.msgpack.Decoder(list[Edition])


def edition_of(model_id: str) -> Edition:
    """The edition of this id."""
    return _EDITION.decode(model_id)


def first_editions(sources: Iterable[PolicySource]) -> Editions:
    """What is served before anything was replaced."""
    return {source.name: Edition(source=source) for source in sources}


def pack(editions: Editions) -> bytes:
    """A table as bytes."""
    return msgspec.msgpack.encode(list(editions.values()))


def unpack(data: bytes) -> Editions:
    """A table from its bytes."""
    return {edition.name: edition for edition in _EDITIONS.decode(data)}


def newest(ours: Editions, theirs: Editions) -> Editions:
    """Of each name what came last, whoever is asked, and in which order.

    Two swaps of one name at the same moment have the same number: then the source decides, so that all agree.
    """
    merged = dict(ours)
    for name, edition in theirs.items():
        other = merged.get(name)
        if other is None or _rank(edition) > _rank(other):
            merged[name] = edition
    return merged


def _rank(edition: Edition) -> tuple[int, str]:
    return edition.number, edition.model_id
