"""What a report is made of; the page and the paper each set it in their way, so both say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.scene import Scene


@dataclass(frozen=True)
class Heading:
    """A heading of a section, or with `level` 3 of a part of it."""

    text: str
    level: Literal[2, 3] = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; a small one is a remark."""

    text: str
    small: bool = False


@dataclass(frozen=True)
class Callout:
    """What must not be overlooked.

    Attributes:
        tone: `result` for what was found, `warning` for what may be wrong with it.
        title: One sentence.
        paragraphs: More of them.
    """

    tone: Literal["result", "warning"]
    title: str
    paragraphs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """A name and a value; hashes and keys are set in a fixed width."""

    name: str
    value: str
    fixed: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: tuple[Fact, ...]


@dataclass(frozen=True)
class Named:
    """A policy in a table: its name with its mark in its colour."""

    policy: str


Cell: TypeAlias = str | Named


def is_hash(cell: str) -> bool:
    """Whether a cell is a digest or a key, to be set in a fixed width."""
    return len(cell) == 64 and not cell.strip("0123456789abcdef")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        headers: Of the columns.
        rows: As long as `headers`.
        align: A character for each column: `l` for text, `r` for numbers.
        note: What has to be known to read it; may be empty.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    align: str
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot and what it shows."""

    scene: Scene
    caption: str


@dataclass(frozen=True)
class NewPage:
    """What follows begins on a new sheet."""


Block: TypeAlias = Heading | Text | Callout | Bullets | Facts | Table | Figure | NewPage


def texts(block: Block) -> list[str]:
    """All cells of a table, where free texts are; of other blocks nothing: they have only what was planned."""
    return [cell for row in block.rows for cell in row if isinstance(cell, str)] if isinstance(block, Table) else []


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: Of the campaign.
        question: What it asks.
        running: A line for the top of each sheet.
        policies: Names in declared order, for their marks.
        blocks: From the top.
    """

    title: str
    question: str
    running: str
    policies: tuple[str, ...]
    blocks: tuple[Block, ...]
