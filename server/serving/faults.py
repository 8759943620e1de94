"""Errors of a worker as answers: one line each, no traceback."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.errors import MessageError
from unichunk.runtime.errors import BundleError, ObservationError, UnichunkError
from unichunk.server.say import say
from unichunk.server.serving.work import Answer

if TYPE_CHECKING:
    from unichunk.server.serving.work import Fault

_LONGEST: Final = 1000


def answer_to(error: Exception) -> Answer:
    """The answer that says why there is no chunk; the traceback of what nobody foresaw goes to the standard error."""
    if isinstance(error, UnichunkError):
        return Answer(error=_one_line(str(error)), fault=_fault(error))
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    say(f"a request failed:\n{trace}", sys.stderr)
    return Answer(error=_one_line(f"the policy failed ({type(error).__name__}: {error})"), fault="policy")


def _fault(error: UnichunkError) -> Fault:
    if isinstance(error, MessageError):
        return "message"
    if isinstance(error, ObservationError):
        return "observation"
    if isinstance(error, BundleError):
        return "bundle"
    return "policy"


def _one_line(text: str) -> str:
    # A name of a file, say, may hold what no message can carry.
    line = " ".join(text.encode(errors="backslashreplace").decode().split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
