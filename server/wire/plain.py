"""Values of types that are Python's own and something more, numpy's among them."""

from __future__ import annotations


def plain(value: str | bytes | float) -> str | bytes | float:
    """The same value in Python's own type: `numpy.float64` is a float, `numpy.str_` a text."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return bytes(value)
    return float(value) if isinstance(value, float) else int(value)
