"""Probes that read the kernel's files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from unichunk.benchmarks.stages.rapl import rapl_power

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unichunk.benchmarks.stages.reading import Reading


def readable_files(root: Path, patterns: Sequence[str]) -> dict[str, str]:
    """Path -> content of the files that are there and may be read.

    Args:
        root: Where `patterns` begin: `/`, or a copy of its files.
        patterns: As for `Path.glob`.
    """
    files = {}
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            try:
                files[str(path)] = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
    return files


class FileProbe:
    """Reads files whose content is the number asked for.

    Args:
        name: The source.
        patterns: Of the files, from `root` on.
        parse: Path -> content, to numbers.
        root: Where the kernel's files are.
    """

    def __init__(
        self,
        name: str,
        patterns: Sequence[str],
        parse: Callable[[Mapping[str, str]], list[Reading]],
        root: Path = Path("/"),
    ) -> None:
        self.name = name
        self._patterns = patterns
        self._parse = parse
        self._root = root

    def start(self) -> str:
        """Look for the files; why nothing can be told, empty where something can."""
        return "" if self.read() else f"no {self._patterns[0]} that can be read"

    def read(self) -> list[Reading]:
        """The numbers now."""
        return self._parse(readable_files(self._root, self._patterns))

    def stop(self) -> None:
        """Nothing to release."""


class EnergyProbe:
    """Reads energy counters; the numbers are power since the look before.

    Args:
        name: The source.
        patterns: Of the counters' files, from `root` on.
        root: Where the kernel's files are.
    """

    def __init__(self, name: str, patterns: Sequence[str], root: Path = Path("/")) -> None:
        self.name = name
        self._patterns = patterns
        self._root = root
        self._files: dict[str, str] = {}
        self._at_s = 0.0

    def start(self) -> str:
        """Take a first look; why nothing can be told, empty where something can."""
        self.read()
        if any(path.endswith("energy_uj") for path in self._files):
            return ""
        if list(self._root.glob(self._patterns[0])):
            return "energy counters that only root may read"
        return "no energy counters"

    def read(self) -> list[Reading]:
        """The power since the look before."""
        before, begun_s = self._files, self._at_s
        self._files, self._at_s = readable_files(self._root, self._patterns), time.monotonic()
        return rapl_power(before, self._files, self._at_s - begun_s)

    def stop(self) -> None:
        """Nothing to release."""
