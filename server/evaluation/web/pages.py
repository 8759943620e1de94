"""Makes pages from templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
from starlette.responses import HTMLResponse

from unichunk.server.evaluation.web.places import places_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from unichunk.server.evaluation.web.gate import Visitor

FOLDER: Final = Path(__file__).parent
PART_HEADER: Final = "x-part"
"""A script that asks with this header gets the page's main part alone, to put it where the old one was."""


class Pages:
    """The templates, read once."""

    def __init__(self) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def page(
        self, request: Request, name: str, visitor: Visitor | None = None, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page, or its main part.

        Args:
            request: What asks for it.
            name: Of the template, without `.html`.
            visitor: Who is signed in.
            status: Of HTTP.
            values: For the template.
        """
        text = self._templates.get_template(f"{name}.html").render(
            frame="part.html" if PART_HEADER in request.headers else "base.html",
            places=() if visitor is None else places_of(visitor),
            path=request.url.path,
            visitor=visitor,
            **values,
        )
        return HTMLResponse(text, status)
