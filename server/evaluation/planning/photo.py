"""Reference photos of layouts, as they are copied into a campaign's folder."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from unichunk.kinematics.names import instead_of
from unichunk.server.evaluation.errors import BadCampaign

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 20 << 20
"""Longest file of a photo."""

MAX_PIXELS: Final = 50_000_000
"""Most pixels: tablets have to show it over a live camera."""

_SUFFIXES: Final = {"JPEG": "jpg", "PNG": "png"}


@dataclass(frozen=True)
class Photo:
    """A photo that can be shown.

    Attributes:
        content: The file's bytes, unchanged.
        sha256: Of them, hexadecimal.
        suffix: `jpg` or `png`, by what it is and not by what it is called.
    """

    content: bytes
    sha256: str
    suffix: str

    @property
    def name(self) -> str:
        """Of the copy."""
        return f"{self.sha256}.{self.suffix}"


def read_photo(path: Path) -> Photo:
    """Read a photo and see that it is one.

    Args:
        path: JPEG or PNG.

    Raises:
        BadCampaign: Where it is not; one line.
    """
    if not path.is_file():
        raise BadCampaign(f"{path}: no such file: {instead_of(path.name, _beside(path))}")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadCampaign(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise BadCampaign(f"{path}: expected at most {MAX_BYTES >> 20} MiB; make the picture smaller")
    return Photo(content, hashlib.sha256(content).hexdigest(), _suffix(content, path))


def _suffix(content: bytes, path: Path) -> str:
    """The kind of picture, once all of it was decoded."""
    try:
        # A warning of Pillow's about many pixels comes before the limit here is looked at.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=tuple(_SUFFIXES)) as picture:
                pixels = picture.width * picture.height
                if pixels <= MAX_PIXELS:
                    picture.load()
                suffix = _SUFFIXES[str(picture.format)]
    except Image.DecompressionBombError:
        raise BadCampaign(f"{path}: expected at most {MAX_PIXELS} pixels; make the picture smaller") from None
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        reason = " ".join(str(error).replace("<", "").replace(">", "").split())[:120]
        raise BadCampaign(f"{path}: expected a JPEG or PNG picture that can be decoded ({reason})") from None
    if pixels > MAX_PIXELS:
        raise BadCampaign(f"{path}: expected at most {MAX_PIXELS} pixels, got {pixels}; make the picture smaller")
    return suffix


def _beside(path: Path) -> list[str]:
    """Names of pictures in the same folder."""
    try:
        return [other.name for other in path.parent.iterdir() if other.suffix.lower() in {".jpg", ".jpeg", ".png"}]
    except OSError:
        return []
