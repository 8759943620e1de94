"""The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader, Environment, StrictUndefined

from unichunk.server.evaluation.report.blocks import Named, is_hash
from unichunk.server.evaluation.report.palette import looks
from unichunk.server.evaluation.report.scene_svg import svg

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.blocks import Document


def page(document: Document) -> str:
    """Set a report as a page.

    Args:
        document: What it says; all of its texts are escaped.
    """
    templates = files(__package__).joinpath("templates")
    sources = {name: templates.joinpath(name).read_text(encoding="utf-8") for name in ("report.html", "report.css")}
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests["policy"] = _is_policy
    dress = looks(document.policies)
    return environment.get_template("report.html").render(
        document=document,
        dress=dress,
        svg=svg,
        style=sources["report.css"],
        anchor=_anchor,
        style_of=_style_of,
    )


def _style_of(cell: str) -> str:
    return " hash" if is_hash(cell) else ""


def _is_policy(cell: Any) -> bool:
    return isinstance(cell, Named)


def _anchor(text: str) -> str:
    """A heading's name within the page."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
