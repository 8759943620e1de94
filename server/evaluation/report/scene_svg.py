"""A plot as SVG for a page: no font, script or address from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from unichunk.server.evaluation.report.palette import PAPER
from unichunk.server.evaluation.report.scene import Box, Curve, Label, Line, Mark, corners

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.scene import Point, Scene, Shape


def svg(scene: Scene) -> str:
    """Draw a plot.

    Args:
        scene: The plot.

    Returns:
        One `<svg>` element; as wide as there is room, in the plot's proportions.
    """
    shapes = "\n".join(map(_element, scene.shapes))
    return (
        f'<svg viewBox="0 0 {_n(scene.width)} {_n(scene.height)}" role="img" aria-label={quoteattr(scene.title)} '
        f'xmlns="http://www.w3.org/2000/svg">\n{shapes}\n</svg>'
    )


def _element(shape: Shape) -> str:
    if isinstance(shape, Line):
        return _line(shape)
    if isinstance(shape, Curve):
        return _curve(shape)
    if isinstance(shape, Box):
        place = f'x="{_n(shape.corner[0])}" y="{_n(shape.corner[1])}"'
        size = f'width="{_n(shape.width)}" height="{_n(shape.height)}"'
        return _tipped("rect", f'{place} {size} fill="{shape.fill}"', shape.tip)
    if isinstance(shape, Mark):
        return _mark(shape)
    return _label(shape)


def _line(line: Line) -> str:
    (x1, y1), (x2, y2) = line.start, line.end
    dash = f' stroke-dasharray="{" ".join(map(_n, line.dash))}"' if line.dash else ""
    return (
        f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{line.colour}" '
        f'stroke-width="{_n(line.width)}"{dash}/>'
    )


def _curve(curve: Curve) -> str:
    name = "polygon" if curve.fill else "polyline"
    return (
        f'<{name} points="{_points(curve.points)}" fill="{curve.fill or "none"}" stroke="{curve.colour}" '
        f'stroke-width="{_n(curve.width)}" stroke-linejoin="round"/>'
    )


def _mark(mark: Mark) -> str:
    paint = f'fill="{mark.colour if mark.filled else PAPER}" stroke="{mark.colour}" stroke-width="1.4"'
    if mark.shape == "circle":
        x, y = mark.centre
        return _tipped("circle", f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(mark.radius)}" {paint}', mark.tip)
    return _tipped("polygon", f'points="{_points(corners(mark))}" {paint}', mark.tip)


def _label(label: Label) -> str:
    x, y = label.at
    turn = f' transform="rotate({_n(-label.turn)} {_n(x)} {_n(y)})"' if label.turn else ""
    weight = ' font-weight="600"' if label.bold else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(label.size)}" fill="{label.colour}" '
        f'text-anchor="{label.anchor}"{weight}{turn}>{escape(label.text)}</text>'
    )


def _tipped(name: str, attributes: str, tip: str) -> str:
    return f"<{name} {attributes}><title>{escape(tip)}</title></{name}>" if tip else f"<{name} {attributes}/>"


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """A length with two places at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
