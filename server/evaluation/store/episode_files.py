"""Whether the recordings of trials are those that the log names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.errors import Tampered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "episodes"
DOCUMENT = "episode.json"


class _Episode(msgspec.Struct, frozen=True):
    sha256: dict[str, str] = {}


def check_episodes(folder: Path, recordings: Mapping[str, str]) -> int:
    """Compare every file of every recording that is there.

    Args:
        folder: Of the campaign.
        recordings: SHA-256 of `episode.json`, by trial, as the log has it.

    Returns:
        How many recordings are not there: videos need not be where the records are checked.

    Raises:
        Tampered: Which file was changed, added or removed.
    """
    missing = 0
    for trial, expected in recordings.items():
        episode = folder / FOLDER / trial
        if not episode.exists():
            missing += 1
            continue
        document = episode / DOCUMENT
        if _sha256(document) != expected:
            raise Tampered(f"{document}: is not what was recorded: it was changed or removed")
        _check_files(episode, _hashes(document))
    return missing


def _hashes(document: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(document.read_bytes(), type=_Episode).sha256
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Tampered(f"{document}: {error}") from None


def _check_files(episode: Path, hashes: Mapping[str, str]) -> None:
    there = {path.relative_to(episode).as_posix() for path in episode.rglob("*") if not path.is_dir()}
    for name in sorted((there | set(hashes)) - {DOCUMENT}):
        if name not in hashes:
            raise Tampered(f"{episode / name}: was added after the trial")
        if name not in there or _sha256(episode / name) != hashes[name]:
            raise Tampered(f"{episode / name}: is not what was recorded: it was changed or removed")


def _sha256(path: Path) -> str:
    """Hexadecimal; empty where the file cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()
