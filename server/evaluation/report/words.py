"""Numbers and times as a reader wants them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.statistics.document import Difference, Interval, Rate, Tested

DASH: Final = "–"
"""For a number that there is not."""

MANY: Final = 200
"""From so many trials on a percentage has a decimal."""


def percent(share: float | None, trials: int = 0) -> str:
    """`63%`, or `63.4%` where there are trials enough for it."""
    if share is None:
        return DASH
    return f"{100 * share:.{1 if trials >= MANY else 0}f}%"


def percent_range(interval: Interval | None, trials: int = 0) -> str:
    """`51% to 74%`."""
    if interval is None:
        return DASH
    return f"{percent(interval.low, trials)} to {percent(interval.high, trials)}"


def count(rate: Rate) -> str:
    """`38 of 60`."""
    return f"{rate.successes} of {rate.trials}"


def points(difference: Difference) -> str:
    """`+24 points`."""
    return DASH if difference.estimate is None else f"{_signed(difference.estimate)} points"


def points_range(interval: Interval | None) -> str:
    """`+8 to +38`."""
    return DASH if interval is None else f"{_signed(interval.low)} to {_signed(interval.high)}"


def number(value: float | None, digits: int = 3) -> str:
    """With so many significant digits; very large and very small ones as powers of ten."""
    if value is None:
        return DASH
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text.replace("-", "−")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} × 10{power}".replace("-", "−")


def number_range(interval: Interval | None, digits: int = 3) -> str:
    """`0.61 to 0.94`."""
    return DASH if interval is None else f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def probability(value: float | None) -> str:
    """Of a posterior: never rounded to 0 or 1."""
    if value is None:
        return DASH
    if value < 0.001:
        return "< 0.001"
    return "> 0.999" if value > 0.999 else f"{value:.3f}"


def p_value(p: float | None, alpha: float) -> str:
    """A p-value that is never rounded across the level it is compared with.

    Args:
        p: It.
        alpha: The level.
    """
    if p is None:
        return DASH
    if p < 0.001 <= alpha:
        return "< 0.001"
    for digits in range(3, 17):
        text = f"{p:.{digits}g}"
        if (float(text) <= alpha) == (p <= alpha):
            return number(p, digits) if "e" in text else text
    return repr(p)


def p_equals(p: float | None, alpha: float) -> str:
    """`p = 0.012`, `p < 0.001`."""
    text = p_value(p, alpha)
    said = f"p {text}" if text.startswith("<") else f"p = {text}"
    # On one line, with spaces that do not break.
    return said.replace(" ", "\N{NO-BREAK SPACE}")


def decision(tested: Tested) -> str:
    """Whether a test rejects, in a word."""
    if tested.p is None:
        return "not computed"
    return "differs" if tested.rejects else "no difference shown"


def joined(names: Sequence[str], last: str = "and") -> str:
    """`A, B and C`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def plural(amount: int, one: str, many: str = "") -> str:
    """`1 trial`, `2 trials`, `no trials`."""
    return f"{amount or 'no'} {one if amount == 1 else many or one + 's'}"


def moment(at: int) -> str:
    """A time in UTC to the second.

    Args:
        at: UTC, [ns].
    """
    return _utc(at).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at: int) -> str:
    """A time in UTC to the microsecond, ISO 8601; empty for 0.

    Args:
        at: UTC, [ns].
    """
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else ""


def _utc(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=at // 1000)


def _signed(share: float) -> str:
    rounded = round(100 * share)
    return f"−{-rounded}" if rounded < 0 else f"+{rounded}" if rounded > 0 else "0"
