"""A canvas that knows how many sheets there are before it writes the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportlab.pdfgen.canvas import Canvas

if TYPE_CHECKING:
    from collections.abc import Callable


def counting_canvas(foot: Callable[[Any, int, int], None]) -> type[Any]:
    """A kind of canvas that writes a foot on every sheet.

    Args:
        foot: Given the canvas, the number of the sheet from 1, and how many there are.
    """

    class Counting(Canvas):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._sheets: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802  (reportlab's name)
            # Kept, not written yet: the foot needs the number of the last one.
            self._sheets.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, sheet in enumerate(self._sheets, 1):
                self.__dict__.update(sheet)
                foot(self, number, len(self._sheets))
                super().showPage()
            super().save()

    return Counting
