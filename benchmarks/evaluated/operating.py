"""Operating characteristics of the analysis: does every test keep its level, and what does it find?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.evaluated.coverage import coverage
from unichunk.benchmarks.evaluated.drifting import drift
from unichunk.benchmarks.evaluated.no_effect import one_layout, several_layouts
from unichunk.benchmarks.evaluated.other_tests import other_tests
from unichunk.benchmarks.evaluated.peeking import peeking
from unichunk.benchmarks.evaluated.power_of_tests import power

if TYPE_CHECKING:
    from unichunk.benchmarks.evaluated.operating_row import OperatingRow

SESSIONS: Final = 4000
QUICK_SESSIONS: Final = 400


def operating_characteristics(*, quick: bool) -> list[OperatingRow]:
    """Everything, in sections; the same rows each time.

    Args:
        quick: A tenth of the simulated sessions: standard errors of about 0.011 at 0.05, instead of 0.0034.
    """
    sessions = QUICK_SESSIONS if quick else SESSIONS
    return [
        *one_layout(),
        *several_layouts(sessions),
        *other_tests(sessions),
        *drift(sessions),
        *peeking(sessions),
        *power(sessions),
        *coverage(sessions),
    ]
