"""Fonts of the PDF: DejaVu, which matplotlib ships under a free licence, and what helps out where it has no letters.

DejaVu has Latin, Greek, Cyrillic and many more, but no Chinese, Japanese or Korean. Those runs of text are set in the
fonts that every PDF reader is expected to bring for these languages (Adobe's CID fonts); they are not embedded. What
neither has is written as its code point, `[U+1F600]`, so that nothing vanishes silently.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from unichunk.runtime.errors import ReportError

REGULAR: Final = "DejaVuSans"
BOLD: Final = "DejaVuSans-Bold"
FIXED: Final = "DejaVuSansMono"
CHINESE: Final = "STSong-Light"
JAPANESE: Final = "HeiseiKakuGo-W5"
KOREAN: Final = "HYGothic-Medium"

_EAST: Final = ("CJK", "KANGXI", "IDEOGRAPHIC", "FULLWIDTH", "BOPOMOFO")
"""Beginnings of the names of characters that Chinese, Japanese and Korean share."""


def register() -> None:
    """Make all fonts known to reportlab; once is enough, more do no harm.

    Raises:
        ReportError: Where matplotlib, which brings the files, is missing.
    """
    folder = _folder()
    for name in (REGULAR, BOLD, FIXED):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))
    for name in (CHINESE, JAPANESE, KOREAN):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(UnicodeCIDFont(name))


def markup(text: str, font: str = REGULAR) -> str:
    """A text as reportlab's paragraphs want it: escaped, and each run in a font that has its letters.

    Args:
        text: Plain.
        font: What it is set in where that has the letters.
    """
    if text.isascii() and text.isprintable():
        return escape(text)
    text = unicodedata.normalize("NFC", text)
    east = _eastern(text)
    runs = groupby(text, key=lambda character: _font_of(character, font, east))
    return "".join(_run("".join(characters), name, font) for name, characters in runs)


def needs_reader_fonts(text: str) -> bool:
    """Whether a text has letters whose font is not in the file."""
    if text.isascii():
        return False
    east = _eastern(text)
    return any(_font_of(character, REGULAR, east) in {CHINESE, JAPANESE, KOREAN} for character in text)


def _run(characters: str, name: str, font: str) -> str:
    if not name:
        return "".join(f"[U+{ord(character):04X}]" for character in characters)
    text = escape(characters).replace("\n", "<br/>")
    return text if name == font else f'<font name="{name}">{text}</font>'


def _font_of(character: str, font: str, east: str) -> str:
    """A font that has a character; empty where none has."""
    if character in "\n\t":
        return font
    if unicodedata.category(character) in {"Cc", "Cs"}:
        return ""
    for name in dict.fromkeys((font, REGULAR)):
        if ord(character) in pdfmetrics.getFont(name).face.charToGlyph:
            return name
    name = unicodedata.name(character, "")
    if name.startswith("HANGUL"):
        return KOREAN
    if name.startswith(("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA")):
        return JAPANESE
    return east if name.startswith(_EAST) else ""


def _eastern(text: str) -> str:
    """Whose forms of the shared characters a text wants, by the script beside them."""
    names = [unicodedata.name(character, "") for character in text if ord(character) > 0x10FF]
    if any(name.startswith(("HIRAGANA", "KATAKANA")) for name in names):
        return JAPANESE
    return KOREAN if any(name.startswith("HANGUL") for name in names) else CHINESE


def _folder() -> Path:
    # Found without importing it: only its files are wanted.
    found = importlib.util.find_spec("matplotlib")
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" if found and found.origin else None
    if folder is None or not (folder / f"{REGULAR}.ttf").is_file():
        raise ReportError("the fonts of the report come with matplotlib: pip install 'unichunk[evaluation]'")
    return folder
