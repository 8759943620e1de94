"""A plot as a list of shapes, drawn by nobody yet: the page and the paper each draw it in their way.

Lengths are in points of the plot's own; x grows to the right, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from unichunk.server.evaluation.report.palette import INK, PAPER

Anchor = Literal["start", "middle", "end"]
WIDTH: Final = 400.0
"""Of every plot: its texts can be read on a phone, and are not huge on a desk."""
WIDE: Final = 0.56
"""How wide a character is on average, in sizes of its font."""
Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A straight line."""

    start: Point
    end: Point
    colour: str = INK
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Curve:
    """Points that are joined by straight lines.

    Attributes:
        points: At least two.
        colour: Of the line.
        width: Of the line.
        fill: Colour of the area that it encloses; empty: none.
    """

    points: tuple[Point, ...]
    colour: str
    width: float = 1.5
    fill: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle, without a frame.

    Attributes:
        corner: Its upper left corner.
        width: Not negative.
        height: Not negative.
        fill: Colour.
        tip: What a reader is told who points at it.
    """

    corner: Point
    width: float
    height: float
    fill: str
    tip: str = ""


@dataclass(frozen=True)
class Mark:
    """A small mark around a point.

    Attributes:
        centre: Where.
        shape: One of `palette.SHAPES`.
        colour: Of its outline, and of its inside where it is filled.
        radius: Half its height.
        filled: Or hollow: white inside.
        tip: What a reader is told who points at it.
    """

    centre: Point
    shape: str
    colour: str
    radius: float = 4.0
    filled: bool = True
    tip: str = ""


@dataclass(frozen=True)
class Label:
    """One line of text.

    Attributes:
        at: Where its base line starts, is in the middle, or ends.
        text: Plain.
        size: Of the font.
        colour: Of the text.
        anchor: What of it is at `at`.
        bold: Or regular.
        turn: By how much it is turned around `at`, counter-clockwise, [deg].
    """

    at: Point
    text: str
    size: float = 11.0
    colour: str = INK
    anchor: Anchor = "start"
    bold: bool = False
    turn: float = 0.0


Shape: TypeAlias = Line | Curve | Box | Mark | Label


@dataclass(frozen=True)
class Scene:
    """A whole plot.

    Attributes:
        width: Of the plot.
        height: Of the plot.
        shapes: From the back to the front.
        title: What it is, for those who do not see it.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str


def corners(mark: Mark) -> tuple[Point, ...]:
    """The corners of a mark that is no circle."""
    (x, y), r = mark.centre, mark.radius
    if mark.shape == "square":
        r *= 0.89  # the area of the circle
        return (x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)
    if mark.shape == "diamond":
        r *= 1.25
        return (x, y - r), (x + r, y), (x, y + r), (x - r, y)
    return (x, y - 1.25 * r), (x + 1.15 * r, y + 0.85 * r), (x - 1.15 * r, y + 0.85 * r)


def backed(label: Label) -> tuple[Shape, Shape]:
    """A label with paper behind it, for places with grid lines."""
    width = WIDE * label.size * len(label.text)
    left = label.at[0] - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    corner = (left - 2, label.at[1] - 0.82 * label.size)
    return Box(corner, width + 4, 1.08 * label.size, PAPER), label


def shortened(text: str, width: float, size: float = 11.0) -> str:
    """A text that fits, with an ellipsis where it did not.

    Args:
        text: One line.
        width: How much room there is.
        size: Of the font; a character is taken to be `WIDE` of it wide on average.
    """
    room = max(int(width / (WIDE * size)), 2)
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"
