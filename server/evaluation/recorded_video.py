"""The pictures of a recorded trial, for who judges it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from unichunk.server.evaluation.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path


class _Episode(msgspec.Struct, frozen=True):
    """What is needed of `episode.json`; the rest is not looked at."""

    fps: float
    cameras: dict[str, Any]


@dataclass(frozen=True)
class RecordedVideo:
    """A trial's pictures.

    Attributes:
        folder: Of the trial's episode.
        cameras: Names, sorted.
        frames: How many pictures every camera has.
        fps: How many make a second.
    """

    folder: Path
    cameras: tuple[str, ...]
    frames: int
    fps: float

    @classmethod
    def find(cls, folder: Path) -> RecordedVideo | None:
        """Look at an episode's folder.

        Returns:
            None where it holds no pictures that could be judged.
        """
        try:
            episode = msgspec.json.decode((folder / "episode.json").read_bytes(), type=_Episode)
            counts = {name: _count(folder / "frames" / name) for name in sorted(episode.cameras)}
        except (OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return None
        cameras = tuple(name for name, count in counts.items() if count)
        if not cameras:
            return None
        return cls(folder, cameras, min(counts[name] for name in cameras), episode.fps)

    def picture(self, camera: str, number: int) -> bytes:
        """One picture, JPEG.

        Args:
            camera: One of `cameras`.
            number: From 1 to `frames`.

        Raises:
            NotFound: Where there is none.
        """
        if camera not in self.cameras or not 1 <= number <= self.frames:
            raise NotFound(f"picture {number} of camera {camera!r}: expected 1 to {self.frames} of {self.cameras}")
        try:
            return (self.folder / "frames" / camera / f"{number:06d}.jpg").read_bytes()
        except OSError as error:
            raise NotFound(f"picture {number} of camera {camera!r}: {error.strerror}") from None


def _count(folder: Path) -> int:
    return sum(1 for path in folder.iterdir() if path.suffix == ".jpg") if folder.is_dir() else 0
