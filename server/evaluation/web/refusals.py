"""What is said to whoever gets nothing: constant texts, chosen by the kind of error alone.

The text of an error may name a policy, a path or a key; nothing of it reaches a page. Whoever runs the server finds it
in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.evaluation.errors import EvaluationError, NotAllowed, NotFound, NotNow, Sealed, StoreUnavailable


class WebError(UnichunkError):
    """A request that the pages do not take."""


class SignInFirst(WebError):
    """Nobody is signed in, or the key was revoked."""


class StalePage(WebError):
    """It does not come from a page of this server, or from one of another session."""


class StaleTicket(WebError):
    """It would set a robot in motion, and the page that it comes from is too old."""


class BadRequest(WebError):
    """A body, a field or a header that is not what it has to be."""


class TooLong(WebError):
    """A body that is too long."""


class TooOften(WebError):
    """Too many wrong keys from one address.

    Attributes:
        retry_after_s: When to come again, [s].
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Refusal:
    """What is answered.

    Attributes:
        status: Of HTTP.
        code: For the script of the page.
        text: For people.
    """

    status: int
    code: str
    text: str


UNKNOWN: Final = Refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR, "error", "The server could not do that. Whoever runs it finds more in its log."
)
NO_PAGE: Final = Refusal(HTTPStatus.NOT_FOUND, "not found", "There is nothing here.")
NO_METHOD: Final = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "bad request", "This cannot be done here.")

_REFUSALS: Final = {
    SignInFirst: Refusal(HTTPStatus.UNAUTHORIZED, "sign in", "Sign in with your key."),
    StalePage: Refusal(HTTPStatus.FORBIDDEN, "stale page", "This page is out of date: load it again."),
    StaleTicket: Refusal(
        HTTPStatus.CONFLICT, "stale ticket", "The network was too slow: the robot was not moved. Press again."
    ),
    BadRequest: Refusal(HTTPStatus.BAD_REQUEST, "bad request", "The server does not understand this request."),
    TooLong: Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "bad request", "That is too long."),
    TooOften: Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too often", "Too many wrong keys: wait a little."),
    NotAllowed: Refusal(HTTPStatus.FORBIDDEN, "not allowed", "Your role may not do this."),
    NotFound: Refusal(HTTPStatus.NOT_FOUND, "not found", "There is no such thing in this campaign."),
    NotNow: Refusal(
        HTTPStatus.CONFLICT, "not now", "Not possible in the present state: look at what the page shows now."
    ),
    Sealed: Refusal(HTTPStatus.CONFLICT, "sealed", "This stays sealed until the campaign is complete."),
    StoreUnavailable: Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, "not recorded", "The database takes nothing now: nothing was recorded."
    ),
}


def refusal_of(error: BaseException) -> Refusal:
    """What is answered for an error.

    Args:
        error: Anything.
    """
    if type(error) is EvaluationError:
        # Values that nothing could have, such as a rubric of another length: `Tampered` and the like are no such thing.
        return _REFUSALS[BadRequest]
    return next((refusal for kind, refusal in _REFUSALS.items() if isinstance(error, kind)), UNKNOWN)
