"""Numbers in URDF attributes: read, checked and written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from unichunk.kinematics.errors import UrdfError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

_TURN: Final = 2 * math.pi + 0.01
"""No origin is turned farther than this, [rad]: a full turn, and room for rounding. Degrees are."""


def attribute(element: Element, tag: str, key: str, default: str) -> str:
    """An attribute of a child element, or the default where there is no such attribute or child."""
    child = element.find(tag)
    return default if child is None else child.get(key, default)


def numbers(element: Element, tag: str, key: str, default: str) -> list[float]:
    """The numbers in an attribute of a child element, or in the default where it is absent.

    Raises:
        ValueError: Where they are no numbers.
    """
    return [_number(word) for word in attribute(element, tag, key, default).split()]


def checked_numbers(
    element: Element, tag: str, key: str, count: int, where: str, *, default: str | None = None
) -> list[float]:
    """The numbers in an attribute of a child element, as many as expected, all finite.

    Args:
        element: Parent of the element that has the attribute.
        tag: That element's.
        key: The attribute's.
        count: How many numbers it must have.
        where: What to call the parent in error messages.
        default: What an absent attribute stands for; None for zeros, as URDF has it mostly; empty where it must be
            there.

    Raises:
        UrdfError: With the attribute and what was expected.
    """
    default = " ".join(["0"] * count) if default is None else default
    try:
        found = numbers(element, tag, key, default)
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        expected = "a finite number" if count == 1 else f"{count} finite numbers"
        raise UrdfError(f"{where}: {tag} {key}: expected {expected}, got {attribute(element, tag, key, default)!r}")
    return found


def check_origin(element: Element, where: str) -> None:
    """Check the `<origin>` of an element, if it has one.

    Raises:
        UrdfError: Where a number is none, or an angle is in degrees.
    """
    checked_numbers(element, "origin", "xyz", 3, where)
    widest = max(checked_numbers(element, "origin", "rpy", 3, where), key=abs)
    if abs(widest) > _TURN:
        raise UrdfError(
            f"{where}: origin rpy: expected angles within a turn, 6.28 rad, got {widest:g}: is it in degrees? "
            "Write it in rad"
        )


def words(values: Iterable[float]) -> str:
    """Numbers as an attribute holds them, to the last digit."""
    return " ".join(repr(float(value)) for value in values)


def _number(word: str) -> float:
    # Python reads 1_0 as ten; XML's readers do not.
    if "_" in word:
        raise ValueError(word)
    return float(word)
