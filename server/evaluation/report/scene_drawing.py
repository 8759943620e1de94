"""A plot as a vector drawing for the PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportlab.graphics.shapes import Circle, Drawing, Group, Polygon, PolyLine, Rect, String
from reportlab.graphics.shapes import Line as Stroke
from reportlab.lib.colors import HexColor

from unichunk.server.evaluation.report.fonts import BOLD, REGULAR
from unichunk.server.evaluation.report.palette import PAPER
from unichunk.server.evaluation.report.scene import Box, Curve, Label, Line, Mark, corners

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.scene import Point, Scene, Shape


def drawing(scene: Scene, width: float, height: float) -> Any:
    """Draw a plot.

    Args:
        scene: The plot.
        width: How wide it shall be, [pt].
        height: How high it may be, [pt]; a higher one is made smaller.

    Returns:
        A `Drawing`; what `fonts.register` registers has to be there.
    """
    # A drawing's y grows upwards.
    page = Group(transform=(1, 0, 0, 1, 0, 0))
    for shape in scene.shapes:
        page.add(_drawn(shape, scene.height))
    ratio = min(width / scene.width, height / scene.height)
    page.scale(ratio, ratio)
    whole = Drawing(scene.width * ratio, scene.height * ratio)
    whole.add(page)
    return whole


def _drawn(shape: Shape, height: float) -> Any:
    if isinstance(shape, Line):
        (x1, y1), (x2, y2) = shape.start, shape.end
        colour = HexColor(shape.colour)
        dash = list(shape.dash) or None
        return Stroke(
            x1, height - y1, x2, height - y2, strokeColor=colour, strokeWidth=shape.width, strokeDashArray=dash
        )
    if isinstance(shape, Curve):
        return _curve(shape, height)
    if isinstance(shape, Box):
        x, y = shape.corner
        fill = HexColor(shape.fill)
        return Rect(x, height - y - shape.height, shape.width, shape.height, fillColor=fill, strokeColor=None)
    if isinstance(shape, Mark):
        return _mark(shape, height)
    return _label(shape, height)


def _curve(curve: Curve, height: float) -> Any:
    points, stroke = _flat(curve.points, height), HexColor(curve.colour)
    if curve.fill:
        return Polygon(points, fillColor=HexColor(curve.fill), strokeColor=stroke, strokeWidth=curve.width)
    return PolyLine(points, strokeColor=stroke, strokeWidth=curve.width, strokeLineJoin=1)


def _mark(mark: Mark, height: float) -> Any:
    paint = {
        "fillColor": HexColor(mark.colour if mark.filled else PAPER),
        "strokeColor": HexColor(mark.colour),
        "strokeWidth": 1.4,
    }
    if mark.shape == "circle":
        return Circle(mark.centre[0], height - mark.centre[1], mark.radius, **paint)
    return Polygon(_flat(corners(mark), height), **paint)


def _label(label: Label, height: float) -> Any:
    x, y = label.at
    font = BOLD if label.bold else REGULAR
    text = String(0, 0, label.text, fontName=font, fontSize=label.size * 0.94, textAnchor=label.anchor)
    text.fillColor = HexColor(label.colour)
    placed = Group(text)
    placed.translate(x, height - y)
    placed.rotate(label.turn)
    return placed


def _flat(points: tuple[Point, ...], height: float) -> list[float]:
    return [part for x, y in points for part in (x, height - y)]
