"""Answers for what went wrong: a page for people, JSON for scripts, in constant words."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from unichunk.runtime.errors import UnichunkError
from unichunk.server.evaluation.web.headers import protect
from unichunk.server.evaluation.web.now import json
from unichunk.server.evaluation.web.refusals import (
    NO_METHOD,
    NO_PAGE,
    UNKNOWN,
    Refusal,
    SignInFirst,
    TooOften,
    refusal_of,
)

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

    from unichunk.server.evaluation.web.pages import Pages
    from unichunk.server.serving.logs import Log

SCRIPTS: Final = ("/api/", "/robots/", "/videos/", "/photos/")
"""What only scripts ask for."""


class ErrorAnswers:
    """Answers where something is refused or broken.

    Args:
        pages: The templates.
        log: Where the whole text goes.
    """

    def __init__(self, pages: Pages, log: Log) -> None:
        self._pages = pages
        self._log = log

    def add_to(self, app: FastAPI) -> None:
        """Take over from the framework, which would repeat what was sent."""
        app.add_exception_handler(UnichunkError, self.refused)
        app.add_exception_handler(HTTPException, self.no_route)
        app.add_exception_handler(RequestValidationError, self.no_route)
        app.add_exception_handler(Exception, self.broken)

    async def refused(self, request: Request, error: Exception) -> Response:
        """Something of ours."""
        refusal = refusal_of(error)
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._log.event("error", "page refused", path=request.url.path, reason=str(error))
        if isinstance(error, SignInFirst) and not _is_script(request):
            return RedirectResponse("/login", 303)
        answer = self._answer(request, refusal)
        if isinstance(error, TooOften):
            answer.headers["retry-after"] = str(int(error.retry_after_s) + 1)
        return answer

    async def no_route(self, request: Request, error: Exception) -> Response:
        """There is no such page, or not by this method."""
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
        return self._answer(request, NO_METHOD if status == HTTPStatus.METHOD_NOT_ALLOWED else NO_PAGE)

    async def broken(self, request: Request, error: Exception) -> Response:
        """A mistake in the program."""
        self._log.event("error", "page failed", path=request.url.path, reason=f"{type(error).__name__}: {error}")
        return protect(self._answer(request, UNKNOWN))

    def _answer(self, request: Request, refusal: Refusal) -> Response:
        if _is_script(request):
            return json({"code": refusal.code, "text": refusal.text}, refusal.status)
        return self._pages.page(request, "refused", status=refusal.status, text=refusal.text)


def _is_script(request: Request) -> bool:
    return request.url.path.startswith(SCRIPTS)
